import {expect} from 'chai'

import type {MemoryRepository} from '../../../src/registry/memory/repository.js'

import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {removeResidue} from '../../../src/repair/prune-residue.js'
import {planPrune, type PruneOptions} from '../../../src/repair/prune.js'
import {Quarantine} from '../../../src/repair/quarantine.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {flipBit} from '../../helpers/damage.js'
import {failureOf} from '../../helpers/failure.js'
import {goldenInMemory} from '../../helpers/golden.js'
import {testMac} from '../../helpers/macs.js'
import {listed} from '../../helpers/registry-objects.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {
  colours,
  DAY,
  lockOf,
  MINUTE,
  NOW,
  packfileOf,
  putState,
  storeWithPackfiles,
  TEST_CLOCK,
} from '../../helpers/test-store.js'

/** The moment from which the store is looked at: what was written at `NOW` is old enough. */
const LATER = {...TEST_CLOCK, now: () => NOW + 30 * DAY}
const DAYS = (24 * 60 * MINUTE) / MINUTE

const plan = async (repository: MemoryRepository, options: PruneOptions = {}) =>
  planPrune(repository, {clock: LATER, ...options})

/** A store with two packfiles that a state knows. */
async function store() {
  const made = await storeWithPackfiles(2)
  // Written when it was, as far as its manifests say.
  const old = new KlosetStore(made.repository, {clock: TEST_CLOCK})
  const orphan = async (text: string, daysAgo: number) => {
    const {bytes, mac} = await packfileOf(text, {minutesAgo: daysAgo * DAYS})
    await old.put('packfile', mac, bufferSource(bytes))
    return tagOf('packfile', mac)
  }

  return {...made, old, orphan}
}

describe('prune', () => {
  describe('planPrune', () => {
    it('finds nothing in a store in which everything is needed', async () => {
      const {repository} = await store()
      const {kept, plan: found, residue} = await plan(repository)
      expect(found.steps).to.deep.equal([])
      expect([kept, residue.manifests, residue.blobs.count]).to.deep.equal([[], [], 0])
    })

    it('plans for packfiles that no state knows once they are old enough by every clock', async () => {
      const {orphan, repository} = await store()
      const old = await orphan('left by a broken backup', 10)
      const found = await plan(repository)
      expect(found.plan.steps.map(({action, tag}) => [action.kind, tag])).to.deep.equal([['remove-tag', old]])
      expect(found.size).to.be.greaterThan(0)
      // Its manifest is 6 days old, its footer 16: it was copied here then.
      const young = await plan(repository, {clock: {...TEST_CLOCK, now: () => NOW + 6 * DAY}})
      expect(young.plan.steps).to.deep.equal([])
      expect(young.kept.join(' ')).to.match(/1 packfiles that no state knows/)
      const short = await plan(repository, {clock: {...TEST_CLOCK, now: () => NOW + 6 * DAY}, graceMs: 5 * DAY})
      expect(short.plan.steps).to.have.length(1)
      // A clock that runs a month fast does not make it older.
      const slow = Object.assign(spyRepository(repository).repository, {time: async () => NOW + DAY})
      expect((await planPrune(slow, {clock: LATER})).plan.steps).to.deep.equal([])
    })

    it('leaves deleted packfiles to plakar, and says until when', async () => {
      const {packfiles, repository, store: kloset} = await store()
      await putState(kloset, 2, [colours(packfiles[0]!, NOW)])
      const found = await plan(repository)
      expect(found.plan.steps).to.deep.equal([])
      expect(found.kept.join(' ')).to.match(/1 packfiles are deleted .* maintenance.*2026-01-08/)
    })

    it('plans for stale locks', async () => {
      const {old, repository} = await store()
      await old.put('lock', testMac(7), bufferSource(await lockOf(0)))
      const found = await plan(repository)
      expect(found.plan.steps.map(({tag}) => tag)).to.deep.equal([tagOf('lock', testMac(7))])
    })

    it('finds what earlier locks left behind, and leaves lost objects alone', async () => {
      const {old, repository} = await store()
      for (const minutes of [30, 20]) await old.put('lock', testMac(7), bufferSource(await lockOf(minutes)))
      await old.delete('lock', testMac(7))
      await putState(old, 9, [])
      await repository.manifests.untag(tagOf('state', testMac(9)), {deleteManifest: false})
      const found = await plan(repository)
      expect(found.residue.manifests).to.have.length(1)
      expect(found.kept.join(' ')).to.match(/1 manifests hold objects that no tag has/)
      expect(found.plan.steps).to.deep.equal([])
    })

    describe('refuses', () => {
      it('while a lock is held, or cannot be read', async () => {
        const {old, orphan, repository} = await store()
        await orphan('old', 10)
        await old.put('lock', testMac(7), bufferSource(await lockOf(-30 * DAYS)))
        expect((await failureOf(plan(repository))).code).to.equal('LOCKED')
        const encrypted = await goldenInMemory('encrypted')
        const error = await failureOf(plan(encrypted))
        expect([error.code, error.suggestions.join(' ')]).to.satisfy(
          ([code, text]: string[]) => code === 'UNAUTHORIZED' && text!.includes('passphrase'),
        )
      })

      it('while anything is damaged, a state above all', async () => {
        const damage: ((parts: Awaited<ReturnType<typeof store>>) => Promise<unknown>)[] = [
          async ({old, state}) => old.put('state', testMac(1), bufferSource(flipBit(state, 8 * 40)), {overwrite: true}),
          async ({old, packfiles}) => old.delete('packfile', packfiles[0]!),
          async ({repository}) => repository.manifests.untag('CONFIG'),
          async ({old}) => {
            const {bytes, mac} = await packfileOf('of a snapshot', {minutesAgo: 10 * DAYS, snapshot: testMac(77)})
            await old.put('packfile', mac, bufferSource(bytes))
          },
        ]
        for (const [index, hurt] of damage.entries()) {
          const parts = await store()
          await parts.orphan('old', 10)
          await hurt(parts)
          const error = await failureOf(plan(parts.repository))
          expect(error.code, String(index)).to.equal('DAMAGE')
        }
      })

      it('while anything could not be listed or read', async () => {
        const {orphan, packfiles, repository} = await store()
        await orphan('old', 10)
        const {repository: broken} = spyRepository(repository, {
          before({name, subject}) {
            if (name === 'manifests.get' && subject === tagOf('packfile', packfiles[1]!)) {
              throw Object.assign(new Error('connection lost'), {})
            }
          },
        })
        await planPrune(broken, {clock: LATER}).then(
          () => expect.fail('planned'),
          () => {},
        )
        const short = Object.assign(spyRepository(repository).repository, {
          async *tags() {
            for await (const tag of repository.tags()) if (tag !== tagOf('packfile', packfiles[0]!)) yield tag
          },
        })
        const error = await failureOf(planPrune(short, {clock: LATER}))
        expect(error.code).to.equal('PARTIAL')
      })

      it('while states come and go', async () => {
        const {old, orphan, repository} = await store()
        await orphan('old', 10)
        let calls = 0
        const {repository: lively} = spyRepository(repository, {
          async before({name, subject}) {
            if (name !== 'manifests.get' || !subject.startsWith('packfiles-') || ++calls > 1) return
            await putState(old, 5, [])
          },
        })
        expect((await failureOf(planPrune(lively, {clock: LATER}))).code).to.equal('LOCKED')
      })
    })
  })

  describe('removeResidue', () => {
    it('keeps a copy of each manifest, leaves those that were tagged meanwhile, and frees the storage', async () => {
      const {old, repository} = await store()
      for (const minutes of [30, 20, 10]) await old.put('lock', testMac(7), bufferSource(await lockOf(minutes)))
      const {digest: live} = await repository.manifests.resolve(tagOf('lock', testMac(7)))
      await old.delete('lock', testMac(7))
      const {residue} = await plan(repository)
      expect(residue.manifests).to.have.length(2)
      const kept = memoryRepository('kept')
      const collected: unknown[] = []
      const own = Object.assign(spyRepository(repository).repository, {
        async collectGarbage(options: unknown) {
          collected.push(options)
          return {blobs: [{digest: live, mediaType: '', size: 3}], bytes: 3}
        },
      })
      const quarantine = new Quarantine(kept, 'a plan')
      const target = await repository.manifests.resolve(residue.manifests[0]!)
      await repository.manifests.tag(target, 'wanted')
      const options = {graceMs: DAY, quarantine, signal: undefined}
      expect(await removeResidue(own, residue, options)).to.deep.equal({blobs: 1, bytes: 3, manifests: 1})
      expect(collected).to.deep.equal([{graceMs: DAY, signal: undefined}])
      expect((await repository.manifests.resolve('wanted')).digest).to.equal(residue.manifests[0])
      expect((await failureOf(repository.manifests.resolve(residue.manifests[1]!))).code).to.equal('NOT_FOUND')
      const records = await listed(kept.tags())
      expect(records).to.deep.equal([`untagged-${residue.manifests[1]!.replace(':', '-')}`])
      expect((await quarantine.load(records[0]!)).state).to.equal(residue.manifests[1])
      expect(await removeResidue(repository, residue, options)).to.deep.equal({blobs: 0, bytes: 0, manifests: 0})
    })
  })
})
