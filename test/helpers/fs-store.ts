import {mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'

import type {Mac} from '../../src/kloset/mac.js'
import type {BlobReader} from '../../src/kloset/snapshot/index.js'

import {NotFoundError} from '../../src/errors.js'
import {blobTypeName} from '../../src/kloset/blob-type.js'
import {type Codec, createCodec} from '../../src/kloset/codec/codec.js'
import {unlock} from '../../src/kloset/codec/kdf.js'
import {type Configuration, hashingOf, macKeyOf, openConfiguration} from '../../src/kloset/configuration.js'
import {createStore} from '../../src/kloset/create.js'
import {openEnvelope, sealEnvelope} from '../../src/kloset/envelope.js'
import {createHasher, type Hasher} from '../../src/kloset/hashing.js'
import {readAtOf, readBlob} from '../../src/kloset/packfile.js'
import {orderStates, StateDecoder, StateIndex} from '../../src/kloset/state.js'
import {type Version} from '../../src/kloset/version.js'
import {openRepository} from '../../src/registry/open.js'
import {fileSource} from '../../src/util/content-source.js'
import {scratchDir} from './hooks.js'

type Kind = 'packfiles' | 'states'

/** A store as plakar lays it into a folder (`fs://`), read and written file by file. */
export class FsStore {
  readonly codec: Codec
  readonly configuration: Configuration
  readonly hasher: Hasher
  readonly root: string

  private constructor(root: string, configuration: Configuration, codec: Codec, hasher: Hasher) {
    this.codec = codec
    this.configuration = configuration
    this.hasher = hasher
    this.root = root
  }

  static async open(root: string, passphrase?: string): Promise<FsStore> {
    const config = readFileSync(join(root, 'CONFIG'))
    const {encryption} = await openConfiguration(config)
    const secret = encryption && (await unlock(encryption, passphrase!))
    const configuration = await openConfiguration(config, {secret: secret?.bytes})
    const key = await macKeyOf(configuration, secret?.bytes)
    const hasher = await createHasher(hashingOf(configuration), key)
    return new FsStore(root, configuration, await createCodec(configuration, secret), hasher)
  }

  /** All states, in their order. */
  async index(): Promise<StateIndex> {
    const states = new Map(this.list('states').map((mac) => [mac, this.#open('states', mac)]))
    const parents = new Map<Mac, Mac | undefined>()
    for (const [mac, {data, version}] of states) {
      const decoder = new StateDecoder(version, mac)
      for (const entry of decoder.push(this.codec.decode(data))) if (entry.kind === 'metadata') break
      parents.set(mac, decoder.parent)
    }

    const index = new StateIndex()
    for (const mac of orderStates(parents).ordered) {
      const {data, version} = states.get(mac)!
      await index.addState(mac, this.codec.decodeStream(once(data)), version)
    }

    return index
  }

  list(kind: Kind): Mac[] {
    return readdirSync(join(this.root, kind), {recursive: true})
      .map(String)
      .filter((path) => statSync(join(this.root, kind, path)).isFile())
      .map((path) => path.slice(-64) as Mac)
  }

  pathOf(kind: Kind, mac: Mac): string {
    return join(this.root, kind, mac.slice(0, 2), mac)
  }

  /** Writes an object, in its envelope. */
  put(kind: Kind, mac: Mac, data: Buffer, version: Version): void {
    const path = this.pathOf(kind, mac)
    mkdirSync(dirname(path), {recursive: true})
    this.hasher.reset()
    writeFileSync(path, sealEnvelope(data, {hasher: this.hasher, resource: resourceOf(kind), version}))
  }

  reader(index: StateIndex): BlobReader {
    return async (type, mac) => {
      const location = index.locate(type, mac)
      if (!location) throw new NotFoundError(`no ${blobTypeName(type)} ${mac}`)
      const what = `packfile ${location.packfile}`
      const bytes = readFileSync(this.pathOf('packfiles', location.packfile))
      return readBlob(location, readAtOf(bytes, what), {codec: this.codec, hasher: this.hasher, what})
    }
  }

  #open(kind: Kind, mac: Mac): {data: Buffer; version: Version} {
    this.hasher.reset()
    const bytes = readFileSync(this.pathOf(kind, mac))
    return openEnvelope(bytes, {hasher: this.hasher, resource: resourceOf(kind), what: `${kind} ${mac}`})
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

function resourceOf(kind: Kind): 'packfile' | 'state' {
  return kind === 'packfiles' ? 'packfile' : 'state'
}

/** A store in a folder as an image layout of ours, object by object, as they are. @returns its reference */
export async function layoutOfFsStore(root: string): Promise<string> {
  const path = join(scratchDir('layout'), 'store.oci')
  const location = `oci-layout:${path}`
  const repository = await openRepository(location, {create: true})
  try {
    const store = await createStore(repository, readFileSync(join(root, 'CONFIG')))
    for (const [kind, resource] of [
      ['packfiles', 'packfile'],
      ['states', 'state'],
    ] as const) {
      for (const name of readdirSync(join(root, kind), {recursive: true}).map(String)) {
        const file = join(root, kind, name)
        const stat = statSync(file)
        if (stat.isFile()) await store.put(resource, name.slice(-64) as Mac, fileSource(file, stat.size))
      }
    }
  } finally {
    await repository.close()
  }

  return location
}
