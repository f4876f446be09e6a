import {expect} from 'chai'
import {existsSync, statSync} from 'node:fs'
import {join} from 'node:path'

import type {Mac} from '../../../src/kloset/mac.js'

import {BLOB_TYPES, type BlobType} from '../../../src/kloset/blob-type.js'
import {StoreContents} from '../../../src/kloset/contents.js'
import {HEADER_BYTES} from '../../../src/kloset/envelope.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {openSnapshot, restore} from '../../../src/restore/index.js'
import {GOLDEN, type GoldenName, scratchDir} from '../../helpers/hooks.js'
import {unlockedGolden} from '../../helpers/unlocked.js'
import {WoundedStore} from '../../helpers/wounded-store.js'

const EMPTY = '/tmp/fx/src/dir/sub/empty'
const OTHER = '/tmp/fx/src/dir/text03.txt'

class Patient {
  /** What packfiles have now. */
  readonly #damaged = new Map<string, Buffer>()
  readonly #name: GoldenName

  private constructor(
    public contents: StoreContents,
    readonly store: WoundedStore,
    name: GoldenName,
  ) {
    this.#name = name
  }

  static async of(name: GoldenName): Promise<Patient> {
    const store = await WoundedStore.golden(name)
    return new Patient(await opened(store, name), store, name)
  }

  /** Overwrites every place that has a blob, and nothing else. */
  lose(type: BlobType, mac: Mac): void {
    for (const {length, offset, packfile} of this.contents.index.locations(type, mac)) {
      const tag = `packfiles-${packfile}`
      const bytes = this.#damaged.get(tag) ?? Buffer.from(this.store.bytesOf(tag))
      this.#damaged.set(tag, bytes)
      bytes.fill(0xff, HEADER_BYTES + offset, HEADER_BYTES + offset + length)
      this.store.rot(tag, bytes)
    }
  }

  async object(path: string): Promise<Mac> {
    const files = await (await this.contents.snapshot(this.#newest())).files()
    return (await files.lookup(path)).object!
  }

  /** Forgets what was read before the damage. */
  async openAgain(): Promise<void> {
    this.contents.close()
    this.contents = await opened(this.store, this.#name)
  }

  /** Restores into a new folder. @returns it, and what could not be */
  async restored(): Promise<{lost: string[]; target: string}> {
    const target = scratchDir('empty')
    const lost: string[] = []
    const run = restore(this.contents, await openSnapshot(this.contents, this.#newest()), {target})
    for await (const {kind, path} of run) lost.push(`${kind} ${path}`)
    return {lost, target}
  }

  #newest(): Mac {
    return [...this.contents.index.snapshots()].at(-1)!.mac
  }
}

async function opened({repository}: WoundedStore, name: GoldenName): Promise<StoreContents> {
  const {secret} = await unlockedGolden(name)
  return StoreContents.open(new KlosetStore(repository), {secret})
}

describe('an empty file', () => {
  for (const name of GOLDEN) {
    it(`of ${name} is restored though the blobs that say that it is empty are lost`, async () => {
      const patient = await Patient.of(name)
      const object = await patient.object(EMPTY)
      patient.lose(BLOB_TYPES.object, object)
      await patient.openAgain()
      const plain = await patient.contents.read(BLOB_TYPES.object, object).then(
        () => 'there',
        () => 'lost',
      )
      expect(plain, 'the blob is lost to every other reader').to.equal('lost')
      const {lost, target} = await patient.restored()
      expect(lost).to.deep.equal([])
      expect(statSync(join(target, 'sub/empty')).size).to.equal(0)
      patient.contents.close()
    })
  }

  it('is restored though its chunk of nothing is lost as well, and any other file is not made of nothing', async () => {
    const patient = await Patient.of('plaintext')
    const files = await (await openSnapshot(patient.contents, [...patient.contents.index.snapshots()][0]!.mac)).files()
    const nothing = (await files.object(await files.lookup(EMPTY)))!.chunks.at(0).mac
    const objects = [await patient.object(EMPTY), await patient.object(OTHER)]
    for (const object of objects) patient.lose(BLOB_TYPES.object, object)
    patient.lose(BLOB_TYPES.chunk, nothing)
    await patient.openAgain()
    const {lost, target} = await patient.restored()
    expect(lost).to.deep.equal([`damaged ${OTHER}`])
    expect(statSync(join(target, 'sub/empty')).size).to.equal(0)
    expect(existsSync(join(target, 'text03.txt'))).to.equal(false)
    patient.contents.close()
  })
})
