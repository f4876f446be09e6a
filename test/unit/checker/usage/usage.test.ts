import {expect} from 'chai'

import {measureUsage} from '../../../../src/checker/index.js'
import {BLOB_TYPES} from '../../../../src/kloset/blob-type.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {goldenReader} from '../../../helpers/golden-reader.js'
import {goldenInMemory, goldenObjects} from '../../../helpers/golden.js'
import {GOLDEN} from '../../../helpers/hooks.js'
import {testMac} from '../../../helpers/macs.js'
import {
  colours,
  DAY,
  lockOf,
  NOW,
  putState,
  sealed,
  storeWithPackfiles,
  TEST_CLOCK,
} from '../../../helpers/test-store.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'

const MIDNIGHT = '2026-01-05T00:00:00Z'

describe('what a store takes', function () {
  for (const name of GOLDEN) {
    it(`adds up the golden store ${name}: nothing is wasted in it`, async function () {
      const {secret} = await unlockedGolden(name)
      const repository = await goldenInMemory(name)
      const report = await measureUsage(repository, {blobs: true, secret})
      const all = goldenObjects(name)
      expect(report.stored).to.equal(all.reduce((total, {bytes}) => total + bytes.length, 0))
      expect(report.objects.packfile.count).to.equal(all.filter(({tag}) => tag.startsWith('packfiles-')).length)
      expect(report.inside).to.include({deletedSnapshots: 0, missing: 0, snapshots: 2, unreadable: 0})
      expect(report.inside!.live).to.deep.equal(report.objects.packfile)
      expect(report.inside!.logical).to.be.within(1_984_000, 1_986_000)
      const {broken, duplicate, padding, snapshots, unreachable, used} = report.blobs!
      const places = [...(await goldenReader(name)).index.allLocations()].filter(({type}) => type !== BLOB_TYPES.random)
      const blobs = new Set(places.map(({mac, type}) => `${type} ${mac}`))
      expect([broken, duplicate.count, unreachable.count]).to.deep.equal([0, places.length - blobs.size, 0])
      expect(used.count).to.equal(blobs.size)
      // The rest is envelopes, indexes and footers.
      const inside = used.bytes + duplicate.bytes + padding.bytes
      expect(inside).to.be.within(report.objects.packfile.bytes * 0.95, report.objects.packfile.bytes)
      const unique = snapshots.map((one) => one.unique)
      expect(unique.every(({bytes, count}) => bytes > 0 && count > 3 && bytes < used.bytes / 2)).to.equal(true)
    })
  }

  it('says of an encrypted store only what the registry knows, without the passphrase', async function () {
    const report = await measureUsage(await goldenInMemory('encrypted'), {blobs: true})
    expect([report.inside, report.blobs]).to.deep.equal([undefined, undefined])
    expect(report.objects.state.count).to.equal(2)
  })

  it('tells marked, unknown and missing packfiles apart, and when space can be had back', async function () {
    const {packfiles, repository, store} = await storeWithPackfiles(5)
    const [marked, soon, missing] = packfiles
    await putState(store, 2, [colours(marked!, NOW - 4 * DAY), colours(soon!, NOW - 3 * DAY)])
    await repository.manifests.untag(`packfiles-${missing!}`)
    await store.put('packfile', testMac(77), bufferSource(await sealed('packfile', Buffer.alloc(1000))))
    await store.put('lock', testMac(1), bufferSource(await lockOf(1)))
    const stale = await lockOf(100)
    await store.put('lock', testMac(2), bufferSource(stale))
    const {inside, objects, staleLocks, storage} = await measureUsage(repository, {clock: TEST_CLOCK})
    expect(objects.packfile.count).to.equal(5)
    expect([inside!.live.count, inside!.coloured.count, inside!.unknown.count]).to.deep.equal([2, 2, 1])
    expect(inside!.unknown.bytes).to.equal(1048)
    expect(inside!.missing).to.equal(1)
    expect(inside!.drops.map(({count, date}) => [count, date])).to.deep.equal([
      [1, '2026-01-04T00:00:00Z'],
      [1, MIDNIGHT],
    ])
    expect(staleLocks).to.deep.include({bytes: stale.length, count: 1})
    expect(storage!.unreferencedBlobs.count + storage!.untaggedManifests.count).to.be.greaterThan(0)
  })
})
