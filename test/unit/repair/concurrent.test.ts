import {expect} from 'chai'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'

import type {Repository} from '../../../src/registry/interfaces.js'

import {KlosetOciError} from '../../../src/errors.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {
  applyRepair,
  encodePlan,
  planRepair,
  readPlan,
  type RepairPlan,
  type RunOptions,
} from '../../../src/repair/index.js'
import {planPrune} from '../../../src/repair/prune.js'
import {StoreSource} from '../../../src/repair/sources/store-source.js'
import {copyStore} from '../../../src/transfer/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {scratchDir} from '../../helpers/hooks.js'
import {IN_A_FOLDER, IN_A_REGISTRY, looking, named, type Site} from '../../helpers/kill/sites.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {expectWhole, objectsOf} from '../../helpers/store-shape.js'
import {DAY, NOW, packfileOf, stateTag, storeWithPackfiles} from '../../helpers/test-store.js'

/** Waits are a tenth of what they would be. */
const CLOCK = {now: () => NOW + 30 * DAY, sleep: async (milliseconds: number) => delay(milliseconds / 10)}
const STORE = 'oci://store.example/main'
const MIRROR = 'oci://mirror.example/main'

const whole = await storeWithPackfiles(3)
const orphan = await packfileOf('left by a broken backup', {minutesAgo: 10 * 24 * 60})
const unlock = async () => undefined // eslint-disable-line unicorn/no-useless-undefined -- a plaintext store

interface Job {
  readonly name: string
  readonly planPath: string
}

/** What one of two jobs has written into the store, but for its lock. */
type Write = readonly [job: string, what: string]

async function brought(repository: Repository): Promise<void> {
  for await (const {failure} of copyStore(whole.repository, repository)) expect(failure).to.equal(undefined)
}

async function plan(site: Site): Promise<RepairPlan> {
  return looking(site, 'store', async (store) =>
    looking(site, 'mirror', async (mirror) =>
      planRepair(named(store, STORE), {clock: CLOCK, sources: [new StoreSource(named(mirror, MIRROR))], unlock}),
    ),
  )
}

function write(name: string, made: RepairPlan): Job {
  const planPath = join(scratchDir('plan'), `${name}.json`)
  writeFileSync(planPath, encodePlan(made))
  return {name, planPath}
}

/** Two plans for one store that both have work to do, made one after the other. */
const PAIRS: Readonly<Record<string, (site: Site) => Promise<readonly [Job, Job]>>> = {
  async 'a prune and a repair'(site) {
    const pruned = await looking(site, 'store', async (store) => planPrune(named(store, STORE), {clock: CLOCK}))
    await looking(site, 'store', async (store) => {
      const {digest} = await new KlosetStore(store).stat('packfile', whole.packfiles[0]!)
      await store.blobs.delete(digest)
    })
    return [write('prune', pruned.plan), write('repair', await plan(site))]
  },
  async 'two repairs, the second for more'(site) {
    await looking(site, 'store', async (store) => store.manifests.untag(stateTag(1)))
    const first = await plan(site)
    await looking(site, 'store', async (store) => {
      const {digest} = await new KlosetStore(store).stat('packfile', whole.packfiles[0]!)
      await store.blobs.delete(digest)
      await new KlosetStore(store).delete('packfile', whole.packfiles[1]!)
    })
    return [write('first', first), write('second', await plan(site))]
  },
}

const contents = new Set(Object.values(await objectsOf(whole.repository)))

/** Writes down what a job writes. */
function watched(repository: Repository, job: string, writes: Write[]): Repository {
  return spyRepository(repository, {
    before({name, subject}) {
      const isBlob = name.startsWith('blobs.push') && contents.has(subject)
      const isTag = /^manifests\.(?:push|untag)$/.test(name) && !subject.startsWith('locks-')
      if (isBlob || isTag) writes.push([job, subject])
    },
  }).repository
}

async function run(site: Site, {name, planPath}: Job, writes: Write[] = []): Promise<KlosetOciError | undefined> {
  const options: RunOptions = {
    clock: CLOCK,
    lock: true,
    async openRepository(location) {
      const place = {[MIRROR]: 'mirror', [STORE]: 'store'}[location] ?? `quarantine-${name}`
      const repository = named(await site.open(place), location)
      return place === 'store' ? watched(repository, name, writes) : repository
    },
    planPath,
    quarantine: `oci://quarantine.example/${name}`,
    unlock,
  }
  try {
    const {failed, steps} = await applyRepair(await readPlan(planPath), options)
    expect(failed, JSON.stringify(steps)).to.equal(0)
    return undefined
  } catch (error) {
    if (error instanceof KlosetOciError) return error
    throw error
  }
}

for (const kind of [IN_A_FOLDER, IN_A_REGISTRY]) {
  describe(`two plans at once ${kind.name}`, function () {
    this.timeout(120_000)
    const sites: Site[] = []

    afterEach(async () => {
      for (const site of sites.splice(0)) await site.close()
    })

    for (const [pair, prepare] of Object.entries(PAIRS)) {
      it(`${pair}: one waits or is refused, and nothing is lost`, async () => {
        let jobs: readonly [Job, Job]
        const makeSite = await kind.prepare(async (site) => {
          for (const name of ['mirror', 'store']) await looking(site, name, brought)
          await looking(site, 'store', async (store) => {
            const clock = {...CLOCK, now: () => NOW}
            await new KlosetStore(store, {clock}).put('packfile', orphan.mac, bufferSource(orphan.bytes))
          })
          jobs = await prepare(site)
        })
        let worked = 0
        for (const pause of [0, 2, 8, 30]) {
          const site = await makeSite()
          sites.push(site)
          // Each time the plans are as new: what was done of them lies beside them.
          const [a, b] = await Promise.all(
            jobs!.map(async ({name, planPath}) => write(name, (await readPlan(planPath)).plan)),
          )
          const atFirst = await site.digests('store')
          const writes: Write[] = []
          const outcomes = await Promise.all([
            run(site, a!, writes),
            delay(pause).then(async () => run(site, b!, writes)),
          ])
          worked += outcomes.filter((outcome) => outcome === undefined).length
          for (const refused of outcomes) expect(refused?.code ?? 'LOCKED').to.be.oneOf(['INVALID_ARGUMENT', 'LOCKED'])
          // The writes of one come all before those of the other.
          const turns = writes.filter(([job], index) => job !== writes[index - 1]?.[0])
          expect(turns.length, JSON.stringify(writes)).to.be.at.most(2)

          const places = await Promise.all(
            ['store', 'quarantine-first', 'quarantine-second', 'quarantine-prune', 'quarantine-repair'].map(
              async (name) => site.digests(name),
            ),
          )
          for (const digest of atFirst)
            expect(
              places.some((place) => place.has(digest)),
              digest,
            ).to.equal(true)

          // Whoever was refused goes on now, or finds that it has been done.
          for (const [index, job] of [a!, b!].entries()) {
            if (outcomes[index]) await run(site, job)
          }

          const rest = write('rest', await plan(site))
          expect(await run(site, rest)).to.equal(undefined)
          await looking(site, 'store', async (store) => {
            await expectWhole(store, `${pair}, ${pause} ms apart`)
            // By their bytes: the states of these stores do not say what their names are.
            expect(Object.values(await objectsOf(store))).to.include.members([...contents])
            for await (const tag of store.tags()) expect(tag).not.to.match(/^locks-/)
          })
        }

        expect(worked).to.be.at.least(2)
      })
    }
  })
}
