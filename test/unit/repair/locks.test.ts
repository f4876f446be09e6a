import {expect} from 'chai'

import type {Mac} from '../../../src/kloset/mac.js'
import type {Repository} from '../../../src/registry/interfaces.js'

import {LockReader} from '../../../src/checker/index.js'
import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {explainLock} from '../../../src/repair/lock-advice.js'
import {type LockRemoval, lookAtLocks, removeLocks} from '../../../src/repair/locks.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {flipBit} from '../../helpers/damage.js'
import {failureOf} from '../../helpers/failure.js'
import {goldenInMemory} from '../../helpers/golden.js'
import {testMac} from '../../helpers/macs.js'
import {listed} from '../../helpers/registry-objects.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {emptyStore, lockOf, MINUTE, NOW, TEST_CLOCK} from '../../helpers/test-store.js'

const [ALIVE, DEAD, AHEAD, DAMAGED] = [testMac(1), testMac(2), testMac(3), testMac(4)]

/** A store with a lock of each sort. */
async function lockedStore() {
  const made = await emptyStore()
  const put = async (mac: Mac, bytes: Buffer) => made.store.put('lock', mac, bufferSource(bytes))
  await put(ALIVE, await lockOf(4, 'alive'))
  await put(DEAD, await lockOf(10, 'dead'))
  await put(AHEAD, await lockOf(-30, 'ahead'))
  await put(DAMAGED, flipBit(await lockOf(60, 'damaged'), 8 * 30))
  return {...made, put}
}

async function look(repository: Repository) {
  const reader = await LockReader.open(repository, {clock: TEST_CLOCK})
  const looks = await listed(lookAtLocks(repository, reader))
  return {byMac: new Map(looks.map((one) => [one.mac, one])), reader}
}

const remove = async (repository: Repository, options: Partial<Parameters<typeof removeLocks>[1]> = {}) =>
  removeLocks(repository, {apply: true, clock: TEST_CLOCK, ...options})

const actions = (locks: readonly LockRemoval[]) => Object.fromEntries(locks.map(({action, mac}) => [mac, action]))

/** The repository with a clock of its own. */
function withTime(inner: Repository, time: () => Promise<number | undefined>): Repository {
  return Object.assign(spyRepository(inner).repository, {time})
}

async function tagsOf(repository: Repository) {
  return new Set(await listed(repository.tags()))
}

describe('locks', () => {
  it('says who holds each, how, and since when', async () => {
    const {repository} = await lockedStore()
    const {byMac} = await look(repository)
    expect(byMac.size).to.equal(4)
    expect(byMac.get(ALIVE)).to.include({ageMs: 4 * MINUTE, hostname: 'alive', mode: 'shared', state: 'fresh'})
    expect(byMac.get(DEAD)).to.include({ageMs: 10 * MINUTE, hostname: 'dead', state: 'stale'})
    expect(byMac.get(AHEAD)).to.include({ageMs: -30 * MINUTE, state: 'fresh'})
    expect(byMac.get(DAMAGED)).to.include({riddle: 'damaged', state: 'unknown'})
    expect(byMac.get(DAMAGED)!.ageMs).to.equal(undefined)
  })

  it('knows nothing of an encrypted store without the passphrase but what the manifest says', async () => {
    const repository = await goldenInMemory('encrypted')
    await new KlosetStore(repository, {clock: TEST_CLOCK}).put('lock', ALIVE, bufferSource(await lockOf(1)))
    const {byMac, reader} = await look(repository)
    expect(byMac.get(ALIVE)).to.include({
      riddle: 'no-passphrase',
      state: 'unknown',
      written: '2026-01-01T00:00:00.000Z',
    })
    const {blocks, words} = explainLock(byMac.get(ALIVE)!, reader.clocks)
    expect(blocks.maintenance).to.equal(true)
    expect(words.join(' ')).to.contain('unknown without the passphrase')
  })

  it('believes a lock to be stale only when both clocks say so, and says that they differ', async () => {
    const {repository} = await lockedStore()
    // Ours is an hour fast: what looks stale to us was renewed a moment ago.
    const slow = withTime(repository, async () => NOW - 60 * MINUTE)
    const {byMac, reader} = await look(slow)
    expect(reader.clocks.skewMs).to.equal(-60 * MINUTE)
    expect(byMac.get(DEAD)).to.include({state: 'fresh'})
    const near = withTime(repository, async () => NOW + 5000)
    expect((await look(near)).reader.clocks.skewMs).to.equal(undefined)
    const mute = withTime(repository, async () => {})
    expect((await look(mute)).byMac.get(DEAD)).to.include({state: 'stale'})
  })

  it('tells a lock that is listed and leads to nothing from one that was released meanwhile', async () => {
    const {repository, store} = await lockedStore()
    const spied = spyRepository(repository, {
      async before({name, subject}) {
        if (name === 'manifests.get' && subject === tagOf('lock', DEAD)) {
          await store.delete('lock', DEAD).catch(() => {})
        }
      },
    })
    const ghosts = Object.assign(spied.repository, {
      async *tags() {
        yield* repository.tags()
        yield tagOf('lock', testMac(9))
      },
    })
    const {byMac} = await look(ghosts)
    expect(byMac.has(DEAD)).to.equal(false)
    expect(byMac.get(testMac(9))).to.include({riddle: 'damaged', state: 'unknown'})
  })

  it('explains what each blocks', async () => {
    const {repository} = await lockedStore()
    const {byMac, reader} = await look(repository)
    const blocks = (mac: Mac) => explainLock(byMac.get(mac)!, reader.clocks).blocks
    expect(blocks(ALIVE)).to.deep.equal({backups: false, maintenance: true})
    expect(blocks(DEAD)).to.deep.equal({backups: false, maintenance: false})
    expect(blocks(DAMAGED)).to.deep.equal({backups: true, maintenance: true})
    const exclusive = {...byMac.get(ALIVE)!, mode: 'exclusive'} as const
    expect(explainLock(exclusive, reader.clocks).blocks).to.deep.equal({backups: true, maintenance: true})
    expect(explainLock(byMac.get(AHEAD)!, reader.clocks).words.join(' ')).to.match(/30 minutes ahead/)
    // Four of ten minutes have gone.
    expect(explainLock(byMac.get(ALIVE)!, reader.clocks).words.join(' ')).to.contain('2026-01-01T00:06:00.000Z')
  })

  it('removes the stale ones, and nothing before it was told to', async () => {
    const {repository} = await lockedStore()
    const before = await tagsOf(repository)
    const plan = await remove(repository, {apply: false})
    expect(actions(plan.locks)).to.deep.equal({[AHEAD]: 'kept', [ALIVE]: 'kept', [DAMAGED]: 'kept', [DEAD]: 'planned'})
    expect(await tagsOf(repository)).to.deep.equal(before)
    const done = await remove(repository)
    expect(actions(done.locks)).to.deep.equal({[AHEAD]: 'kept', [ALIVE]: 'kept', [DAMAGED]: 'kept', [DEAD]: 'removed'})
    before.delete(tagOf('lock', DEAD))
    expect(await tagsOf(repository)).to.deep.equal(before)
    // Again, and of one that has gone.
    expect(actions((await remove(repository, {macs: [DEAD]})).locks)).to.deep.equal({[DEAD]: 'gone'})
  })

  it('refuses those that are held or cannot be read, before anything is removed', async () => {
    const {repository} = await lockedStore()
    const before = await tagsOf(repository)
    for (const mac of [ALIVE, AHEAD, DAMAGED]) {
      const error = await failureOf(remove(repository, {macs: [DEAD, mac]}))
      expect([error.code, error.facts['tag']]).to.deep.equal(['LOCKED', tagOf('lock', mac)])
    }

    expect(await tagsOf(repository)).to.deep.equal(before)
    const forced = await remove(repository, {breakHeld: true, macs: [ALIVE, DAMAGED]})
    expect(actions(forced.locks)).to.deep.equal({[ALIVE]: 'removed', [DAMAGED]: 'removed'})
  })

  it('keeps a lock that is renewed between the look and the removal', async () => {
    const {put, repository} = await lockedStore()
    const spied = spyRepository(repository, {
      async before({name, subject}) {
        if (name !== 'manifests.get' || subject !== tagOf('lock', DEAD)) return
        gets += 1
        if (gets === 2) await put(DEAD, await lockOf(0, 'dead'))
      },
    })
    let gets = 0
    const {locks} = await remove(spied.repository)
    const lock = locks.find(({mac}) => mac === DEAD)!
    expect(lock).to.include({action: 'kept', state: 'fresh'})
    expect(lock.reason).to.contain('alive')
    expect((await tagsOf(repository)).has(tagOf('lock', DEAD))).to.equal(true)
  })

  it('ends in the same state wherever it was cut off before', async () => {
    for (let stop = 1; ; stop++) {
      const {repository, store} = await lockedStore()
      await store.put('lock', testMac(5), bufferSource(await lockOf(600, 'long dead')))
      let calls = 0
      const {repository: cut} = spyRepository(repository, {
        before() {
          calls += 1
          if (calls >= stop) throw new Error('cut off')
        },
      })
      const first = await remove(cut).then(
        ({locks}) => locks.every(({action}) => action !== 'failed'),
        () => false,
      )
      await remove(repository)
      expect(await tagsOf(repository), `after ${stop} calls`).to.deep.equal(
        new Set(['CONFIG', ...[ALIVE, AHEAD, DAMAGED].map((mac) => tagOf('lock', mac))]),
      )
      if (first) {
        expect(stop).to.be.greaterThan(10)
        return
      }
    }
  })
})
