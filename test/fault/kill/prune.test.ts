import {expect} from 'chai'
import {mkdtempSync} from 'node:fs'
import {join} from 'node:path'

import type {Repository} from '../../../src/registry/interfaces.js'

import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {MemoryHost} from '../../../src/registry/memory/repository.js'
import {applyRepair, idOf, type RepairPlan, undoRepair} from '../../../src/repair/index.js'
import {removeLocks} from '../../../src/repair/locks.js'
import {planPrune} from '../../../src/repair/prune.js'
import {collect} from '../../../src/util/collect.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {scratchDir} from '../../helpers/hooks.js'
import {killEverywhere} from '../../helpers/kill/everywhere.js'
import {type Life} from '../../helpers/kill/life.js'
import {mortalRepository} from '../../helpers/kill/repository.js'
import {testMac} from '../../helpers/macs.js'
import {listed} from '../../helpers/registry-objects.js'
import {expectWhole, objectsOf} from '../../helpers/store-shape.js'
import {DAY, lockOf, NOW, packfileOf, storeWithPackfiles, TEST_CLOCK} from '../../helpers/test-store.js'

const LATER = {...TEST_CLOCK, now: () => NOW + 30 * DAY}
const folder = scratchDir('prune')

interface World {
  readonly host: MemoryHost
  readonly plan: RepairPlan
  readonly planPath: string
}

const source = await storeWithPackfiles(2)
const orphans = await Promise.all(
  ['one', 'two'].map(async (text) => packfileOf(`left by backup ${text}`, {minutesAgo: 60 * 24 * 10})),
)
const needed = await objectsOf(source.repository)
const packfiles = await Promise.all(
  source.packfiles.map(async (mac) => {
    const stream = await source.store.get('packfile', mac)
    return [mac, await collect(stream, {limit: 2 ** 20, what: mac})] as const
  }),
)

async function fill(repository: Repository): Promise<void> {
  const store = new KlosetStore(repository, {clock: TEST_CLOCK})
  await store.putConfig(await source.store.getConfig())
  for (const {bytes, mac} of orphans) await store.put('packfile', mac, bufferSource(bytes))
  await store.put('state', testMac(1), bufferSource(source.state))
  for (const [mac, bytes] of packfiles) await store.put('packfile', mac, bufferSource(bytes))
  await store.put('lock', testMac(7), bufferSource(await lockOf(0, 'dead')))
}

let plan: RepairPlan | undefined

async function begin(): Promise<World> {
  const host = new MemoryHost()
  const repository = host.repository('store')
  await fill(repository)
  // The same objects, written at the same time: one plan is as good as another.
  plan ??= (await planPrune(repository, {clock: LATER})).plan
  return {host, plan, planPath: join(mkdtempSync(join(folder, 'p')), 'plan.json')}
}

const optionsOf = ({host, planPath}: World, life?: Life) => ({
  clock: LATER,
  lock: true,
  async openRepository(location: string) {
    const repository = host.repository(location.includes('quarantine') ? 'quarantine' : 'store')
    return life ? mortalRepository(repository, life) : repository
  },
  planPath,
  quarantine: 'memory:quarantine',
  async unlock() {
    return undefined as never
  },
})

describe('killed at every request', function () {
  this.timeout(240_000)

  it('prune loses nothing that is needed, nothing that is not kept, and ends the same', async () => {
    const tried = await killEverywhere<World>({
      async afterDeath({host}, point) {
        const repository = host.repository('store')
        expect(await objectsOf(repository), point).to.include(needed)
        await expectWhole(repository, point)
        const kept = new Set((await listed(host.repository('quarantine').tags())).map((tag) => tag))
        const there = Object.keys(await objectsOf(repository))
        const gone = orphans.filter(({mac}) => !there.includes(tagOf('packfile', mac))).length
        expect(kept.size, point).to.be.at.least(gone)
      },
      begin,
      contents: async ({host}) => ({
        kept: (await listed(host.repository('quarantine').tags())).length,
        objects: await objectsOf(host.repository('store')),
      }),
      async work(world, life) {
        const result = await applyRepair({id: idOf(world.plan), plan: world.plan}, optionsOf(world, life))
        // The release of its lock fails silently: in ten minutes it is dead.
        if (result.failed > 0 || life.isOver) throw new Error(JSON.stringify(result.steps))
      },
    })
    expect(tried).to.be.greaterThan(60)
  })

  it('prune can be put back', async () => {
    const world = await begin()
    const before = await objectsOf(world.host.repository('store'))
    const sealed = {id: idOf(world.plan), plan: world.plan}
    const {done} = await applyRepair(sealed, optionsOf(world))
    expect(done).to.equal(3)
    expect(await objectsOf(world.host.repository('store'))).to.deep.equal(needed)
    await undoRepair(sealed, optionsOf(world))
    expect(await objectsOf(world.host.repository('store'))).to.deep.equal(before)
  })

  it('locks rm takes stale locks and nothing else, and ends the same', async () => {
    const tried = await killEverywhere<MemoryHost>({
      async afterDeath(host, point) {
        expect(await objectsOf(host.repository('store')), point).to.include(needed)
      },
      async begin() {
        const host = new MemoryHost()
        const repository = host.repository('store')
        await fill(repository)
        const store = new KlosetStore(repository, {clock: LATER})
        await store.put('lock', testMac(8), bufferSource(await lockOf(-30 * 24 * 60, 'alive')))
        return host
      },
      contents: async (host) => objectsOf(host.repository('store')),
      async work(host, life) {
        const repository = mortalRepository(host.repository('store'), life)
        const {locks} = await removeLocks(repository, {apply: true, clock: LATER})
        if (locks.some(({action}) => action === 'failed')) throw new Error(JSON.stringify(locks))
      },
    })
    expect(tried).to.be.greaterThan(5)
  })
})
