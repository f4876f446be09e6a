import {expect} from 'chai'

import {BLOB_TYPES, blobTypeName} from '../../../../src/kloset/blob-type.js'
import {HEADER_BYTES} from '../../../../src/kloset/envelope.js'
import {readAtOf, readPackfileIndex} from '../../../../src/kloset/packfile.js'
import {RepairRig} from '../../../helpers/repair-rig.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'

/** More than one of these, since they serve two ends: files and the listings of folders have objects of chunks. */
const MANY = new Set<number>([BLOB_TYPES.chunk, BLOB_TYPES.object])

/** Padding means nothing, and without its header a snapshot is none: nothing refers to that. */
const NOT_NEEDED = new Set<number>([BLOB_TYPES.random, BLOB_TYPES.snapshot])

/** Blobs that a store is robbed of: one of each type, of some types several. */
async function victims() {
  const {codec, hasher, objects} = await unlockedGolden('plaintext')
  const found = new Map<string, {offset: number; tag: string; type: number}>()
  for (const [tag, bytes] of objects) {
    if (!tag.startsWith('packfiles-')) continue
    const index = await readPackfileIndex({codec, hasher, readAt: readAtOf(bytes, tag), size: bytes.length, what: tag})
    let count = 0
    for (const {length, offset, type} of index) {
      const key = MANY.has(type) ? `${type} ${count++ % 8}` : String(type)
      const middle = HEADER_BYTES + offset + Math.floor(length / 2)
      if (!NOT_NEEDED.has(type)) found.set(key, {offset: middle, tag, type})
    }
  }

  return [...found.values()]
}

describe('a blob that no packfile has any more', () => {
  it('is missed, whatever it is, though every object of the store is sound', async () => {
    const types = new Set<number>()
    for (const {offset, tag, type} of await victims()) {
      const rig = new RepairRig('plaintext')
      rig.editBlob(rig.layerOf(tag), (bytes) => {
        bytes[offset]! ^= 0x10 // eslint-disable-line no-bitwise
        return bytes
      })
      // What is left of the packfile moves into a new one: there is nothing wrong with that.
      await rig.plan()
      await rig.apply()
      const {findings, summary} = await rig.verify()
      const what = `${blobTypeName(type)} at ${offset} of ${tag}`
      expect(summary.verdict, what).to.equal('damaged')
      expect(
        findings.map(({kind}) => kind),
        what,
      ).to.include('reference-missing')
      types.add(type)
    }

    expect(types).to.include.members([BLOB_TYPES.chunk, BLOB_TYPES.object, BLOB_TYPES.vfsEntry, BLOB_TYPES.vfsSummary])
  })
})
