import {encode} from '@msgpack/msgpack'
import {closeSync, openSync, rmSync, statSync, truncateSync, writeSync} from 'node:fs'
import {join} from 'node:path'

import type {Codec} from '../../src/kloset/codec/codec.js'
import type {Hasher} from '../../src/kloset/hashing.js'
import type {Mac} from '../../src/kloset/mac.js'
import type {KlosetStore} from '../../src/kloset/store.js'

import {BLOB_TYPES, type BlobType} from '../../src/kloset/blob-type.js'
import {createCodec} from '../../src/kloset/codec/codec.js'
import {
  hashingOf,
  macKeyOf,
  newConfiguration,
  openConfiguration,
  sealConfiguration,
} from '../../src/kloset/configuration.js'
import {createStore} from '../../src/kloset/create.js'
import {sealEnvelope} from '../../src/kloset/envelope.js'
import {createHasher} from '../../src/kloset/hashing.js'
import {macToBytes} from '../../src/kloset/mac.js'
import {readObjectManifest} from '../../src/kloset/object-manifest.js'
import {PackfileWriter} from '../../src/kloset/packfile-writer.js'
import {tagOf} from '../../src/kloset/resource.js'
import {encodeState, LocationEntry, STATE_VERSION, type WritableEntry} from '../../src/kloset/state.js'
import {timestampFromMillis} from '../../src/kloset/timestamp.js'
import {makeVersion} from '../../src/kloset/version.js'
import {openRepository} from '../../src/registry/open.js'
import {bufferSource} from '../../src/util/content-source.js'

const BLOBS_A_PACKFILE = 100_000
const KEYS_A_NODE = 50
const PACKFILES_A_STATE = 5
const VERSION_1 = makeVersion(1, 0, 0)

/** Every fifth packfile is damaged, and not the last one, which has the trees' roots. */
const DAMAGE_EVERY = 5

export interface BlobStoreOptions {
  readonly damage: boolean
  readonly layout: string
  /** Of blobs: pieces of files, the objects that name them, and the files' entries in a tree. */
  readonly millions: number
}

/** A plaintext store whose blobs are few bytes each, with two snapshots of the same files. */
export async function writeBlobStore({damage, layout, millions}: BlobStoreOptions): Promise<void> {
  const now = Date.now()
  const config = await sealConfiguration(
    newConfiguration({compression: 'none', now, repositoryId: Buffer.alloc(16, 7)}),
  )
  const configuration = await openConfiguration(config)
  const codec = await createCodec(configuration)
  const hasher = await createHasher(hashingOf(configuration), await macKeyOf(configuration))
  const repository = await openRepository(`oci-layout:${layout}`, {create: true, durable: false})
  const store = await createStore(repository, config)
  const writer = new StoreWriter(store, {codec, hasher, now})
  await writer.files(Math.ceil((millions * 1_000_000) / (3 + 1 / KEYS_A_NODE)))
  await writer.end()
  if (damage) {
    for (const [number, packfile] of writer.packfiles.entries()) {
      if (number % DAMAGE_EVERY !== 1 || number === writer.packfiles.length - 1) continue
      const tag = tagOf('packfile', packfile)
      const {layer} = readObjectManifest(await repository.manifests.get(tag), tag)
      wound(join(layout, 'blobs', layer.replace(':', '/')), Math.floor(number / DAMAGE_EVERY))
    }
  }

  await repository.close()
}

/** One bit of it, its second half, or all of it. */
function wound(path: string, number: number): void {
  const {size} = statSync(path)
  if (number % 3 === 1) truncateSync(path, Math.floor(size / 2))
  else if (number % 3 === 2) rmSync(path)
  else {
    const file = openSync(path, 'r+')
    writeSync(file, Buffer.of(0), 0, 1, Math.floor(size / 3))
    closeSync(file)
  }
}

interface Child {
  readonly first: string
  readonly mac: Mac
}

class StoreWriter {
  readonly packfiles: Mac[] = []
  #entries: WritableEntry[] = []
  readonly #keys: {readonly codec: Codec; readonly hasher: Hasher}
  readonly #now: number
  #packfile: PackfileWriter
  #size = 0
  #states = 0
  readonly #store: KlosetStore

  constructor(
    store: KlosetStore,
    {now, ...keys}: {readonly codec: Codec; readonly hasher: Hasher; readonly now: number},
  ) {
    this.#keys = keys
    this.#now = now
    this.#packfile = new PackfileWriter(keys)
    this.#store = store
  }

  get #state(): Mac {
    return this.#states.toString(16).padStart(64, '5') as Mac
  }

  async end(): Promise<void> {
    if (this.#size > 0) await this.#endPackfile()
    await this.#endState()
  }

  /** Files in one folder, their tree, and two snapshots of it. */
  async files(count: number): Promise<void> {
    let children: Child[] = []
    let keys: string[] = []
    let values: Buffer[] = []
    const add = async (path: string, fields: object): Promise<void> => {
      keys.push(path)
      values.push(macToBytes(await this.#add(BLOB_TYPES.vfsEntry, fields)))
      if (keys.length < KEYS_A_NODE) return
      children.push(await this.#leaf(keys, values))
      keys = []
      values = []
    }

    const folder = {mod_time: new Date(0), mode: 0x80_00_01_ed, nlink: 1, size: 0} // eslint-disable-line camelcase -- kloset's names
    for (const [path, parent, name] of [
      ['/', '/', '/'],
      ['/d', '/', 'd'],
    ] as const) {
      await add(path, {file_info: {...folder, name}, parent_path: parent, version: 65_536}) // eslint-disable-line camelcase -- kloset's names
    }

    for (let number = 0; number < count; number++) {
      const content = Buffer.from(`chunk ${number}`)
      const chunk = macToBytes(await this.#add(BLOB_TYPES.chunk, content))
      const object = await this.#add(BLOB_TYPES.object, {
        chunks: [{contentMAC: chunk, length: content.length}],
        contentMAC: chunk,
      })
      const name = `f${String(number).padStart(8, '0')}`
      /* eslint-disable camelcase -- kloset's names */
      await add(`/d/${name}`, {
        file_info: {mod_time: new Date(0), mode: 0o644, name, nlink: 1, size: content.length},
        object: macToBytes(object),
        parent_path: '/d',
        version: 65_536,
      })
      /* eslint-enable camelcase */
    }

    if (keys.length > 0) children.push(await this.#leaf(keys, values))
    while (children.length > 1) children = await this.#above(children)
    const root = await this.#add(BLOB_TYPES.vfsBtree, {
      Count: count,
      Order: KEYS_A_NODE,
      Root: macToBytes(children[0]!.mac),
      Version: 0,
    })
    for (const digit of ['a', 'b']) {
      const id = digit.repeat(64) as Mac
      const sources = [{importer: {directory: '/', origin: 'bench', type: 'fs'}, root: {root: macToBytes(root)}}]
      await this.#add(
        BLOB_TYPES.snapshot,
        {identifier: macToBytes(id), sources, timestamp: new Date(this.#now), version: 65_536},
        id,
      )
    }
  }

  async #above(children: readonly Child[]): Promise<Child[]> {
    const above: Child[] = []
    for (let at = 0; at < children.length; at += KEYS_A_NODE + 1) {
      const part = children.slice(at, at + KEYS_A_NODE + 1)
      const mac = await this.#add(BLOB_TYPES.vfsNode, {
        keys: part.slice(1).map(({first}) => first),
        pointers: part.map((child) => macToBytes(child.mac)),
        values: null,
        version: 0,
      })
      above.push({first: part[0]!.first, mac})
    }

    return above
  }

  async #add(type: BlobType, value: object, name?: Mac): Promise<Mac> {
    const content = Buffer.isBuffer(value) ? value : encode(value)
    const {mac} = this.#packfile.add(type, content, name === undefined ? {} : {name})
    if (++this.#size === BLOBS_A_PACKFILE) await this.#endPackfile()
    return mac
  }

  async #endPackfile(): Promise<void> {
    const timestamp = timestampFromMillis(this.#now)
    const {blobs, data, mac} = this.#packfile.finish(timestamp)
    await this.#store.put('packfile', mac, bufferSource(this.#seal(data, 'packfile')))
    this.#entries.push({kind: 'packfile', packfile: mac, state: this.#state, timestamp})
    for (const blob of blobs) this.#entries.push(LocationEntry.of({...blob, packfile: mac}))
    this.packfiles.push(mac)
    this.#packfile = new PackfileWriter(this.#keys)
    this.#size = 0
    if (this.packfiles.length % PACKFILES_A_STATE === 0) await this.#endState()
  }

  async #endState(): Promise<void> {
    if (this.#entries.length === 0) return
    const metadata = {serial: Buffer.alloc(16, 1), timestamp: timestampFromMillis(this.#now)}
    const encoded = Buffer.concat([...encodeState({entries: this.#entries, metadata})])
    const sealed = this.#seal(this.#keys.codec.encode(encoded), 'state')
    await this.#store.put('state', this.#state, bufferSource(sealed))
    this.#entries = []
    this.#states += 1
  }

  async #leaf(keys: readonly string[], values: readonly Buffer[]): Promise<Child> {
    return {first: keys[0]!, mac: await this.#add(BLOB_TYPES.vfsNode, {keys, pointers: null, values, version: 0})}
  }

  #seal(data: Uint8Array, resource: 'packfile' | 'state'): Buffer {
    const {hasher} = this.#keys
    hasher.reset()
    return sealEnvelope(data, {hasher, resource, version: resource === 'state' ? STATE_VERSION : VERSION_1})
  }
}
