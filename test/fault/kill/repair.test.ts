import {expect} from 'chai'
import {cpSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'

import type {Repository} from '../../../src/registry/interfaces.js'

import {BLOB_TYPES} from '../../../src/kloset/blob-type.js'
import {createCodec} from '../../../src/kloset/codec/codec.js'
import {hashingOf, macKeyOf, sealConfiguration} from '../../../src/kloset/configuration.js'
import {createStore} from '../../../src/kloset/create.js'
import {createHasher} from '../../../src/kloset/hashing.js'
import {PackfileWriter} from '../../../src/kloset/packfile-writer.js'
import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {timestampFromMillis} from '../../../src/kloset/timestamp.js'
import {digestOf} from '../../../src/registry/digest.js'
import {applyRepair, encodePlan, planRepair, readPlan, type RunOptions, undoRepair} from '../../../src/repair/index.js'
import {StoreSource} from '../../../src/repair/sources/store-source.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {scratchDir} from '../../helpers/hooks.js'
import {killEverywhere} from '../../helpers/kill/everywhere.js'
import {DeadError, Life} from '../../helpers/kill/life.js'
import {looking, named, type Open, type Site, SITES, strideOf} from '../../helpers/kill/sites.js'
import {testMac} from '../../helpers/macs.js'
import {contentsOf} from '../../helpers/store-shape.js'
import {
  CONFIGURATION,
  knows,
  lockOf,
  NOW,
  packfileOf,
  sealed,
  stateOf,
  stateTag,
  TEST_CLOCK,
} from '../../helpers/test-store.js'

/** Locations as a plan names them, and the repositories behind them. */
const STORE = 'oci://store.example/main'
const MIRROR = 'oci://mirror.example/main'
const QUARANTINE = 'oci://store.example/quarantine'
const NAMES: Readonly<Record<string, string>> = {[MIRROR]: 'mirror', [QUARANTINE]: 'quarantine', [STORE]: 'store'}

const config = await sealConfiguration(CONFIGURATION)
const [blobLost, tagLost, unknown, flipped, left, right] = (await Promise.all(
  ['one', 'two', 'three', 'four', 'five', 'six'].map(async (text) => packfileOf(text.repeat(40))),
)) as [Packfile, Packfile, Packfile, Packfile, Packfile, Packfile]
const damaged = await manyBlobs()
const known = [blobLost, tagLost, damaged, flipped, left, right]
const kept = await stateOf(
  known.map(({mac}) => knows(mac)),
  1,
)
const lost = await stateOf([knows(unknown.mac)], 2)

type Packfile = Awaited<ReturnType<typeof packfileOf>>

/** A packfile of three chunks. */
async function manyBlobs(): Promise<Packfile> {
  const hasher = await createHasher(hashingOf(CONFIGURATION), await macKeyOf(CONFIGURATION))
  const writer = new PackfileWriter({codec: await createCodec(CONFIGURATION), hasher})
  for (const text of ['a', 'b', 'c']) writer.add(BLOB_TYPES.chunk, Buffer.from(text.repeat(100)))
  const {data, mac} = writer.finish(timestampFromMillis(NOW - 3_600_000))
  return {bytes: await sealed('packfile', data), mac}
}

interface World {
  readonly planPath: string
  readonly site: Site
}

/** A store with many damages, and a mirror that helps with some of them. */
async function fill(site: Site): Promise<void> {
  const mirror = await site.open('mirror')
  const repository = await site.open('store')
  try {
    const copy = await createStore(mirror, config, {clock: TEST_CLOCK})
    for (const {bytes, mac} of [blobLost, tagLost, flipped]) await copy.put('packfile', mac, bufferSource(bytes))
    const store = await createStore(repository, config, {clock: TEST_CLOCK})
    for (const {bytes, mac} of [blobLost, unknown, flipped]) await store.put('packfile', mac, bufferSource(bytes))
    // Under each other's tags.
    await store.put('packfile', left.mac, bufferSource(right.bytes))
    await store.put('packfile', right.mac, bufferSource(left.bytes))
    const changed = Buffer.from(damaged.bytes)
    changed[150]! ^= 1 // eslint-disable-line no-bitwise -- a flipped bit
    await store.put('packfile', damaged.mac, bufferSource(changed))
    await store.put('state', testMac(1), bufferSource(kept))
    await store.put('state', testMac(2), bufferSource(lost))
    await store.put('lock', testMac(9), bufferSource(await lockOf(60)))
    await repository.blobs.delete(digestOf(blobLost.bytes))
    await repository.blobs.delete(digestOf(lost))
    await repository.manifests.untag('CONFIG')
  } finally {
    await mirror.close()
    await repository.close()
  }

  site.damage('store', digestOf(flipped.bytes))
}

function options(open: Open, planPath: string): RunOptions {
  return {
    clock: TEST_CLOCK,
    lock: true,
    openRepository: async (location) => named(await open(NAMES[location]!), location),
    planPath,
    quarantine: QUARANTINE,
    unlock: async () => undefined, // eslint-disable-line unicorn/no-useless-undefined -- a plaintext store
  }
}

/** What each tag leads to. */
async function tagsOf(repository: Repository): Promise<Record<string, string>> {
  const tags: Record<string, string> = {}
  for await (const tag of repository.tags()) tags[tag] = (await repository.manifests.resolve(tag)).digest
  return tags
}

async function run(work: typeof applyRepair | typeof undoRepair, {planPath, site}: World, life: Life): Promise<void> {
  const {failed, steps} = await site.visit(life, async (open) =>
    work(await readPlan(planPath), options(open, planPath)),
  )
  // The last request takes the lock away: that it could not is no failure, and the next run takes the lock over.
  if (life.isOver) throw new DeadError()
  expect(failed, JSON.stringify(steps)).to.equal(0)
}

const apply = async (world: World, life: Life) => run(applyRepair, world, life)
const undo = async (world: World, life: Life) => run(undoRepair, world, life)

const end = async ({site}: World) => site.close()

for (const kind of SITES) {
  describe(`repair ${kind.name}, killed at every request`, function () {
    this.timeout(3_600_000)
    let planFile: string
    let atFirst: ReadonlySet<string>
    let makeSite: () => Promise<Site>

    before(async () => {
      makeSite = await kind.prepare(fill)
      const site = await makeSite()
      const [store, mirror] = [await site.open('store'), await site.open('mirror')]
      const plan = await planRepair(named(store, STORE), {
        clock: TEST_CLOCK,
        sources: [new StoreSource(named(mirror, MIRROR))],
        unlock: async () => undefined, // eslint-disable-line unicorn/no-useless-undefined -- a plaintext store
      })
      atFirst = await site.digests('store')
      await store.close()
      await mirror.close()
      await site.close()
      expect([...new Set(plan.steps.map(({action}) => action.kind))]).to.have.members([
        'put-blob',
        'put-object',
        'rebuild-state',
        'remove-tag',
        'retag',
        'rewrite-manifest',
        'salvage-packfile',
      ])
      planFile = join(scratchDir('plan'), 'plan.json')
      writeFileSync(planFile, encodePlan(plan))
    })

    /** Plan and journal as they lie beside each other; the quarantine lies in the site. */
    function withPlan(site: Site, from = planFile): World {
      const dir = scratchDir('plan')
      cpSync(dirname(from), dir, {recursive: true})
      return {planPath: join(dir, 'plan.json'), site}
    }

    const begin = async () => withPlan(await makeSite())

    /** Whatever was there at first is in the store or in the quarantine. */
    async function nothingLost({site}: World, point: string): Promise<void> {
      const [there, aside] = [await site.digests('store'), await site.digests('quarantine')]
      for (const digest of atFirst) expect(there.has(digest) || aside.has(digest), `${point}: ${digest}`).to.equal(true)
    }

    it('apply loses nothing, and ends as if nothing had happened', async () => {
      const tried = await killEverywhere<World>(
        {
          afterDeath: nothingLost,
          begin,
          contents: async ({site}) => looking(site, 'store', contentsOf),
          end,
          work: apply,
        },
        {stride: strideOf(kind, 'long')},
      )
      expect(tried).to.be.at.least(2)
    })

    it('undo loses nothing, and ends where it began', async () => {
      let applied = planFile
      let before: Record<string, string> = {}
      const makeApplied = await kind.prepare(async (site) => {
        await fill(site)
        before = await looking(site, 'store', tagsOf)
        const world = withPlan(site)
        await apply(world, new Life())
        applied = world.planPath
        // What had lost its content cannot be put back there, and the tag goes on leading to what was made.
        if (!kind.takesDangling) before[stateTag(2)] = (await looking(site, 'store', tagsOf))[stateTag(2)]!
      })
      const tried = await killEverywhere<World>(
        {
          afterDeath: nothingLost,
          async begin() {
            const site = await makeApplied()
            return withPlan(site, applied)
          },
          async contents({site}) {
            const tags = await looking(site, 'store', tagsOf)
            expect(tags).to.deep.equal(before)
            return tags
          },
          end,
          work: undo,
        },
        {stride: strideOf(kind, 'long')},
      )
      expect(tried).to.be.at.least(2)
    })

    it('apply brings back what it can: the tags that were lost lead to their objects again', async () => {
      const world = await begin()
      await apply(world, new Life())
      await looking(world.site, 'store', async (repository) => {
        const store = new KlosetStore(repository)
        for (const {bytes, mac} of [blobLost, tagLost, flipped, left, right]) {
          expect(await store.stat('packfile', mac)).to.include({digest: digestOf(bytes), tag: tagOf('packfile', mac)})
        }
      })
      await end(world)
    })
  })
}
