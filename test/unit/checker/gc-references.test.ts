import {expect} from 'chai'

import type {Mac} from '../../../src/kloset/mac.js'
import type {MemoryRepository} from '../../../src/registry/memory/repository.js'

import {collectGcCheck, type GcCheckOptions} from '../../../src/checker/gc-check.js'
import {exitCodeOf} from '../../../src/checker/summary.js'
import {tagOf} from '../../../src/kloset/resource.js'
import {makeVersion} from '../../../src/kloset/version.js'
import {digestOf} from '../../../src/registry/digest.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {flipBit} from '../../helpers/damage.js'
import {testMac} from '../../helpers/macs.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {
  colours,
  DAY,
  emptyStore,
  knows,
  NOW,
  packfileOf,
  putState,
  removes,
  sealed,
  stateOf,
  stateTag,
  storeWithPackfiles,
  TEST_CLOCK,
} from '../../helpers/test-store.js'

const check = async (repository: MemoryRepository, options: GcCheckOptions = {}) =>
  collectGcCheck(repository, {clock: TEST_CLOCK, ...options})

const packfileTag = (mac: Mac) => tagOf('packfile', mac)

describe('gcCheck and what states know', () => {
  it('names a packfile that a state needs and that has no tag', async () => {
    const {packfiles, repository} = await storeWithPackfiles(5)
    await repository.manifests.untag(packfileTag(packfiles[3]!))
    const {findings, summary} = await check(repository)
    const errors = findings.filter(({severity}) => severity === 'error')
    expect(errors.map(({kind, tag}) => [kind, tag])).to.deep.equal([['tag-missing', packfileTag(packfiles[3]!)]])
    expect(exitCodeOf(summary)).to.equal(65)
  })

  it('misses nothing that was removed or coloured, in whatever order the states come', async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(4)
    const [removed, coloured, ...kept] = packfiles
    await putState(store, 2, [removes(removed!)])
    await putState(store, 3, [colours(coloured!, NOW - DAY)])
    await repository.manifests.untag(packfileTag(removed!))
    await repository.manifests.untag(packfileTag(coloured!))
    const {findings} = await check(repository)
    expect(findings.filter(({kind}) => kind !== 'unreferenced-blob')).to.deep.equal([])
    expect(kept).to.have.length(2)
  })

  it('tells when coloured packfiles can go, and not of those that were used again', async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(3)
    const [young, old, reused] = packfiles
    const uncolours = {entry: 'coloured', kind: 'delete', mac: reused!, packfile: reused!, type: 4} as const
    await putState(store, 2, [colours(young!, NOW - DAY), colours(old!, NOW - 8 * DAY), colours(reused!, NOW)])
    await putState(store, 3, [uncolours])
    const {findings, summary} = await check(repository)
    expect(findings.map(({found, kind, tag}) => [kind, tag, found])).to.have.deep.members([
      ['packfile-coloured', packfileTag(young!), '2026-01-07T00:00:00Z'],
      ['packfile-coloured', packfileTag(old!), '2025-12-31T00:00:00Z'],
    ])
    expect(summary.verdict).to.equal('clean')
  })

  it('tells of packfiles that no state knows, unless a state could not be read', async () => {
    const {repository, state, store} = await storeWithPackfiles(2)
    const stray = await packfileOf('of a backup that was broken off')
    await store.put('packfile', stray.mac, bufferSource(stray.bytes))
    const {findings} = await check(repository)
    expect(findings.map(({kind, tag}) => [kind, tag])).to.deep.equal([['packfile-unknown', packfileTag(stray.mac)]])
    await repository.blobs.delete(digestOf(state))
    const damaged = await check(repository)
    expect(damaged.findings.map(({kind}) => kind)).to.deep.equal(['blob-missing'])
  })

  it('names the state that was lost by the snapshot that its packfile ends, but not of a backup under way', async () => {
    for (const [minutesAgo, expected] of [
      [9, ['packfile-unknown']],
      [11, ['packfile-unknown', 'tag-missing']],
    ] as const) {
      const {repository, store} = await storeWithPackfiles(2)
      const snapshot = testMac(77)
      const {bytes, mac} = await packfileOf('the last one', {minutesAgo, snapshot})
      await store.put('packfile', mac, bufferSource(bytes))
      const {findings} = await check(repository)
      expect(findings.map(({kind}) => kind)).to.deep.equal(expected)
      const lost = findings.find(({kind}) => kind === 'tag-missing')
      if (lost) expect(lost).to.deep.include({snapshots: [snapshot], tag: stateTag(77)})
    }
  })

  it('says when a packfile that no state knows is not sound', async () => {
    const {repository, store} = await storeWithPackfiles(1)
    const data = Buffer.alloc(300, 9)
    await store.put('packfile', testMac(9), bufferSource(await sealed('packfile', data)))
    const {findings} = await check(repository)
    expect(findings.map(({kind}) => kind)).to.deep.equal(['packfile-unknown', 'packfile-unreadable'])
  })

  it('finds a damaged state without being asked for a deep check, and says it once', async () => {
    const good = await stateOf([knows(testMac(5))])
    const cases: [Buffer, string][] = [
      [flipBit(good, 8 * 40), 'mac-mismatch'],
      [await sealed('state', Buffer.from('no state')), 'state-unreadable'],
      [await sealed('state', Buffer.alloc(0)), 'state-unreadable'],
      [await sealed('state', Buffer.alloc(100), makeVersion(7, 0, 0)), 'unknown-version'],
    ]
    for (const [bytes, kind] of cases) {
      for (const deep of [false, true]) {
        const {repository, store} = await emptyStore()
        await store.put('state', testMac(1), bufferSource(bytes))
        const {findings} = await check(repository, {deep})
        expect(
          findings.map((one) => one.kind),
          `${kind}, deep ${deep}`,
        ).to.deep.equal([kind])
      }
    }
  })

  it('does not take a short list for a loss', async () => {
    const {packfiles, repository} = await storeWithPackfiles(3)
    const {repository: spied} = spyRepository(repository)
    spied.tags = async function* (options) {
      for await (const tag of repository.tags(options)) if (tag !== packfileTag(packfiles[1]!)) yield tag
    }

    const {findings, summary} = await collectGcCheck(spied, {clock: TEST_CLOCK})
    const told = findings.filter(({severity}) => severity === 'error').map(({kind, tag}) => [kind, tag])
    expect(told).to.deep.equal([['list-incomplete', packfileTag(packfiles[1]!)]])
    expect(exitCodeOf(summary)).to.equal(69)
  })

  it('leaves them alone when told to', async () => {
    const {packfiles, repository} = await storeWithPackfiles(2)
    await repository.manifests.untag(packfileTag(packfiles[0]!))
    const {findings} = await check(repository, {states: false})
    expect(findings.map(({kind}) => kind)).to.deep.equal(['unreferenced-blob'])
  })
})
