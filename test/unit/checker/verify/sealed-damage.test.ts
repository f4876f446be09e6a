import {expect} from 'chai'

import type {Mac} from '../../../../src/kloset/mac.js'

import {exitCodeOf} from '../../../../src/checker/summary.js'
import {type Tier, TIERS} from '../../../../src/checker/verify/tier.js'
import {collectVerify} from '../../../../src/checker/verify/verify.js'
import {blobTypeName} from '../../../../src/kloset/blob-type.js'
import {HEADER_BYTES, openEnvelope, sealEnvelope} from '../../../../src/kloset/envelope.js'
import {macToBytes} from '../../../../src/kloset/mac.js'
import {
  isNamedByContent,
  macOf,
  type PackfileBlob,
  readAtOf,
  readPackfileIndex,
} from '../../../../src/kloset/packfile.js'
import {KlosetStore} from '../../../../src/kloset/store.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {flipBit} from '../../../helpers/damage.js'
import {GOLDEN} from '../../../helpers/hooks.js'
import {seeded} from '../../../helpers/random.js'
import {type Unlocked, unlockedGolden} from '../../../helpers/unlocked.js'
import {WoundedStore} from '../../../helpers/wounded-store.js'

const SEED = 20_261_126

/** Blobs of each packfile that are damaged, one after another. */
const BLOBS = 1

/** All bytes of a name replaced by another's. */
function renamed(data: Buffer, from: Mac, to: Mac): Buffer {
  const copy = Buffer.from(data)
  const [old, name] = [macToBytes(from), macToBytes(to)]
  for (let at = copy.indexOf(old); at !== -1; at = copy.indexOf(old, at + old.length)) name.copy(copy, at)
  return copy
}

/** A store that was written by a machine with a broken memory: a blob is wrong, every seal around it is right. */
class BrokenWriter {
  constructor(
    readonly golden: Unlocked,
    readonly store: WoundedStore,
  ) {}

  /** Blobs by their packfiles' tags, but those that another packfile has too: losing one of two costs nothing. */
  async blobs(): Promise<Map<string, PackfileBlob[]>> {
    const {codec, hasher, objects} = this.golden
    const found: {blob: PackfileBlob; tag: string}[] = []
    for (const [tag, bytes] of objects) {
      if (!tag.startsWith('packfiles-')) continue
      const source = {codec, hasher, readAt: readAtOf(bytes, tag), size: bytes.length, what: tag}
      for (const blob of await readPackfileIndex(source)) if (isNamedByContent(blob.type)) found.push({blob, tag})
    }

    const counts = new Map<Mac, number>()
    for (const {blob} of found) counts.set(blob.mac, (counts.get(blob.mac) ?? 0) + 1)
    const blobs = new Map<string, PackfileBlob[]>()
    for (const {blob, tag} of found) {
      if (counts.get(blob.mac) === 1) blobs.set(tag, [...(blobs.get(tag) ?? []), blob])
    }

    return blobs
  }

  /** Has a packfile as if it had been written with one bit wrong, and states that know it. @returns its tag */
  async write(tag: string, bit: number): Promise<string> {
    const {hasher, objects} = this.golden
    const mac = tag.slice(10) as Mac
    const {data, version} = this.#open(tag, 'packfile')
    const damaged = flipBit(objects.get(tag)!, bit).subarray(HEADER_BYTES, HEADER_BYTES + data.length)
    const name = macOf(hasher, damaged).toString('hex') as Mac
    hasher.reset()
    const sealed = sealEnvelope(damaged, {hasher, resource: 'packfile', version})
    await new KlosetStore(this.store.repository).put('packfile', name, bufferSource(sealed))
    await this.store.repository.manifests.untag(tag, {deleteManifest: false})
    for (const state of objects.keys()) if (state.startsWith('state-')) this.#rewrite(state, mac, name)
    return `packfiles-${name}`
  }

  #open(tag: string, resource: 'packfile' | 'state') {
    const {hasher, objects} = this.golden
    hasher.reset()
    return openEnvelope(objects.get(tag)!, {hasher, resource, what: tag})
  }

  #rewrite(tag: string, from: Mac, to: Mac): void {
    const {codec, hasher} = this.golden
    const {data, version} = this.#open(tag, 'state')
    const other = codec.encode(renamed(codec.decode(data), from, to))
    hasher.reset()
    this.store.push(tag, sealEnvelope(other, {hasher, resource: 'state', version}))
  }
}

describe('a blob that was damaged before it was sealed', function () {
  this.timeout(60_000)

  for (const name of GOLDEN) {
    it(`is found by the data tier and by no other, and named, in ${name}`, async () => {
      const golden = await unlockedGolden(name)
      const store = await WoundedStore.golden(name)
      const writer = new BrokenWriter(golden, store)
      const draw = seeded(SEED)
      const verify = async (tier: Tier) => collectVerify(store.repository, {secret: golden.secret, tier})
      for (const [tag, blobs] of await writer.blobs()) {
        for (let count = 0; count < BLOBS; count++) {
          const {length, mac, offset, type} = blobs[draw.below(blobs.length)]!
          const bit = 8 * (HEADER_BYTES + offset) + draw.below(8 * length)
          const broken = await writer.write(tag, bit)
          for (const tier of TIERS) {
            const {findings, summary} = await verify(tier)
            const isData = tier === 'data'
            const what = `${tier} tier, bit ${bit} of ${tag}`
            expect(exitCodeOf(summary), what).to.equal(isData ? 65 : 0)
            expect(
              findings.map(({blob, kind, tag: of}) => ({blob, kind, of})),
              what,
            ).to.deep.equal(isData ? [{blob: {mac, type: blobTypeName(type)}, kind: 'blob-corrupt', of: broken}] : [])
            if (isData) expect(findings[0]!.snapshots, what).to.have.length.greaterThan(0)
          }

          await store.repository.manifests.untag(broken)
          store.heal()
        }
      }

      expect((await verify('data')).findings).to.deep.equal([])
    })
  }
})
