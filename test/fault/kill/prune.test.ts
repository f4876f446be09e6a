import {expect} from 'chai'
import {mkdtempSync} from 'node:fs'
import {join} from 'node:path'

import type {Repository} from '../../../src/registry/interfaces.js'

import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {digestOf} from '../../../src/registry/digest.js'
import {MemoryHost} from '../../../src/registry/memory/repository.js'
import {applyRepair, idOf, type RunOptions, undoRepair} from '../../../src/repair/index.js'
import {removeLocks} from '../../../src/repair/locks.js'
import {type SealedPlan} from '../../../src/repair/plan/plan-file.js'
import {planPrune} from '../../../src/repair/prune.js'
import {collect} from '../../../src/util/collect.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {scratchDir} from '../../helpers/hooks.js'
import {killEverywhere} from '../../helpers/kill/everywhere.js'
import {Life} from '../../helpers/kill/life.js'
import {mortalRepository} from '../../helpers/kill/repository.js'
import {looking, named, type Open, type Site, SITES, strideOf} from '../../helpers/kill/sites.js'
import {testMac} from '../../helpers/macs.js'
import {listed} from '../../helpers/registry-objects.js'
import {expectWhole, objectsOf} from '../../helpers/store-shape.js'
import {DAY, lockOf, NOW, packfileOf, storeWithPackfiles, TEST_CLOCK} from '../../helpers/test-store.js'

const LATER = {...TEST_CLOCK, now: () => NOW + 30 * DAY}
const folder = scratchDir('prune')

interface World {
  readonly planPath: string
  readonly site: Site
}

const source = await storeWithPackfiles(2)
const orphans = await Promise.all(
  ['one', 'two'].map(async (text) => packfileOf(`left by backup ${text}`, {minutesAgo: 60 * 24 * 10})),
)
const FOREIGN = 'somebody-elses'
const needed = {...(await objectsOf(source.repository)), [FOREIGN]: digestOf(orphans[0]!.bytes)}
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
  // One of the orphans goes alone, without what else leads to its manifest.
  await repository.manifests.tag(await repository.manifests.resolve(tagOf('packfile', orphans[0]!.mac)), FOREIGN)
}

const optionsOf = (open: Open, planPath: string): RunOptions => ({
  clock: LATER,
  lock: true,
  async openRepository(location) {
    return named(await open(location.includes('quarantine') ? 'quarantine' : 'store'), location)
  },
  planPath,
  quarantine: 'memory:quarantine',
  unlock: async () => undefined, // eslint-disable-line unicorn/no-useless-undefined -- a plaintext store
})

const end = async ({site}: World) => site.close()
const objects = async ({site}: World) => looking(site, 'store', objectsOf)
const kept = async ({site}: World) => looking(site, 'quarantine', async (store) => listed(store.tags()))

for (const kind of SITES) {
  describe(`prune ${kind.name}, killed at every request`, function () {
    this.timeout(3_600_000)
    let makeSite: () => Promise<Site>
    let sealed: SealedPlan

    before(async () => {
      makeSite = await kind.prepare(async (site) => looking(site, 'store', fill))
      const site = await makeSite()
      // The same objects, written at the same time: one plan is as good for all.
      const {plan} = await looking(site, 'store', async (store) => planPrune(store, {clock: LATER}))
      await site.close()
      sealed = {id: idOf(plan), plan}
    })

    const begin = async (): Promise<World> => ({
      planPath: join(mkdtempSync(join(folder, 'p')), 'plan.json'),
      site: await makeSite(),
    })
    const apply = async ({planPath, site}: World, life: Life) =>
      site.visit(life, async (open) => applyRepair(sealed, optionsOf(open, planPath)))

    it('loses nothing that is needed, nothing that is not kept, and ends the same', async () => {
      const tried = await killEverywhere<World>(
        {
          async afterDeath(world, point) {
            const there = await objects(world)
            expect(there, point).to.include(needed)
            await looking(world.site, 'store', async (store) => expectWhole(store, point))
            const gone = orphans.filter(({mac}) => there[tagOf('packfile', mac)] === undefined).length
            expect((await kept(world)).length, point).to.be.at.least(gone)
          },
          begin,
          contents: async (world) => ({kept: (await kept(world)).length, objects: await objects(world)}),
          end,
          async work(world, life) {
            const result = await apply(world, life)
            // The release of its lock fails silently: in ten minutes it is dead.
            if (result.failed > 0 || life.isOver) throw new Error(JSON.stringify(result.steps))
          },
        },
        {stride: strideOf(kind)},
      )
      expect(tried).to.be.at.least(2)
    })

    it('can be put back', async () => {
      const world = await begin()
      const before = await objects(world)
      const {done} = await apply(world, new Life())
      expect(done).to.equal(3)
      expect(await objects(world)).to.deep.equal(needed)
      await world.site.visit(new Life(), async (open) => undoRepair(sealed, optionsOf(open, world.planPath)))
      expect(await objects(world)).to.deep.equal(before)
      await end(world)
    })
  })
}

describe('killed at every request', function () {
  this.timeout(240_000)

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
