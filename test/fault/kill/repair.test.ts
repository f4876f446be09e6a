import {expect} from 'chai'
import {copyFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

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
import {type Digest, digestOf} from '../../../src/registry/digest.js'
import {MemoryHost} from '../../../src/registry/memory/repository.js'
import {applyRepair, encodePlan, planRepair, readPlan, type RunOptions, undoRepair} from '../../../src/repair/index.js'
import {StoreSource} from '../../../src/repair/sources/store-source.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {scratchDir} from '../../helpers/hooks.js'
import {killEverywhere} from '../../helpers/kill/everywhere.js'
import {DeadError, Life} from '../../helpers/kill/life.js'
import {mortalRepository} from '../../helpers/kill/repository.js'
import {testMac} from '../../helpers/macs.js'
import {contentsOf} from '../../helpers/store-shape.js'
import {CONFIGURATION, knows, lockOf, NOW, packfileOf, sealed, stateOf, TEST_CLOCK} from '../../helpers/test-store.js'

/** Every seventh request dies here; KLOSET_OCI_KILL_STRIDE=1 takes all of them, and some minutes. */
const STRIDE = Number(process.env['KLOSET_OCI_KILL_STRIDE'] ?? 7)

/** Locations as a plan names them; behind them are repositories in memory. */
const STORE = 'oci://store.example/main'
const MIRROR = 'oci://mirror.example/main'
const QUARANTINE = 'oci://store.example/quarantine'

const config = await sealConfiguration(CONFIGURATION)
const packfiles = await Promise.all(['one', 'two', 'three'].map(async (text) => packfileOf(text.repeat(40))))
const [blobLost, tagLost, unknown] = packfiles as [(typeof packfiles)[0], (typeof packfiles)[0], (typeof packfiles)[0]]
const damaged = await manyBlobs()
const kept = await stateOf([knows(blobLost!.mac), knows(tagLost!.mac), knows(damaged.mac)], 1)
const lost = await stateOf([knows(unknown!.mac)], 2)

/** A packfile of three chunks. */
async function manyBlobs() {
  const hasher = await createHasher(hashingOf(CONFIGURATION), await macKeyOf(CONFIGURATION))
  const writer = new PackfileWriter({codec: await createCodec(CONFIGURATION), hasher})
  for (const text of ['a', 'b', 'c']) writer.add(BLOB_TYPES.chunk, Buffer.from(text.repeat(100)))
  const {data, mac} = writer.finish(timestampFromMillis(NOW - 3_600_000))
  return {bytes: await sealed('packfile', data), mac}
}

/** The same repository under another name. */
function named(repository: Repository, location: string): Repository {
  return new Proxy(repository, {
    get(target, property) {
      if (property === 'location') return location
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

interface World {
  readonly host: MemoryHost
  readonly planPath: string
}

/** A store with many damages, and a mirror that helps with some of them. */
async function prepare(host: MemoryHost): Promise<void> {
  const mirror = await createStore(host.repository('mirror'), config, {clock: TEST_CLOCK})
  for (const {bytes, mac} of [blobLost!, tagLost!]) await mirror.put('packfile', mac, bufferSource(bytes))
  const repository = host.repository('store')
  const store = await createStore(repository, config, {clock: TEST_CLOCK})
  for (const {bytes, mac} of [blobLost!, unknown!]) await store.put('packfile', mac, bufferSource(bytes))
  const changed = Buffer.from(damaged.bytes)
  changed[150]! ^= 1 // eslint-disable-line no-bitwise -- a flipped bit
  await store.put('packfile', damaged.mac, bufferSource(changed))
  await store.put('state', testMac(1), bufferSource(kept))
  await store.put('state', testMac(2), bufferSource(lost))
  await store.put('lock', testMac(9), bufferSource(await lockOf(60)))
  await repository.blobs.delete(digestOf(blobLost!.bytes))
  await repository.blobs.delete(digestOf(lost))
  await repository.manifests.untag('CONFIG')
}

function options({host, planPath}: World, life: Life): RunOptions {
  return {
    clock: TEST_CLOCK,
    lock: true,
    async openRepository(location) {
      const name = {[MIRROR]: 'mirror', [QUARANTINE]: 'quarantine', [STORE]: 'store'}[location]!
      return named(mortalRepository(host.repository(name), life), location)
    },
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

async function digestsIn(repository: ReturnType<MemoryHost['repository']>): Promise<Set<Digest>> {
  const digests = new Set<Digest>()
  for await (const {digest} of repository.blobDigests()) digests.add(digest)
  for await (const {digest} of repository.manifestDigests()) digests.add(digest)
  return digests
}

async function apply(world: World, life: Life): Promise<void> {
  const {failed, steps} = await applyRepair(await readPlan(world.planPath), options(world, life))
  // The last request takes the lock away: that it could not is no failure, and the next run takes the lock over.
  if (life.isOver) throw new DeadError()
  expect(failed, JSON.stringify(steps)).to.equal(0)
}

async function undo(world: World, life: Life): Promise<void> {
  const {failed, steps} = await undoRepair(await readPlan(world.planPath), options(world, life))
  // The last request takes the lock away: that it could not is no failure, and the next run takes the lock over.
  if (life.isOver) throw new DeadError()
  expect(failed, JSON.stringify(steps)).to.equal(0)
}

describe('repair, killed at every request', function () {
  this.timeout(300_000)
  let planFile: string
  let atFirst: ReadonlySet<Digest>

  before(async () => {
    const host = new MemoryHost()
    await prepare(host)
    const plan = await planRepair(named(host.repository('store'), STORE), {
      clock: TEST_CLOCK,
      sources: [new StoreSource(named(host.repository('mirror'), MIRROR))],
      unlock: async () => undefined, // eslint-disable-line unicorn/no-useless-undefined -- a plaintext store
    })
    expect([...new Set(plan.steps.map(({action}) => action.kind))]).to.have.members([
      'put-blob',
      'put-object',
      'rebuild-state',
      'remove-tag',
      'rewrite-manifest',
      'salvage-packfile',
    ])
    planFile = join(scratchDir('plan'), 'plan.json')
    writeFileSync(planFile, encodePlan(plan))
    const first = new MemoryHost()
    await prepare(first)
    atFirst = await digestsIn(first.repository('store'))
  })

  async function begin(): Promise<World> {
    const host = new MemoryHost()
    await prepare(host)
    const planPath = join(scratchDir('plan'), 'plan.json')
    copyFileSync(planFile, planPath)
    return {host, planPath}
  }

  /** Whatever was there at first is in the store or in the quarantine. */
  async function nothingLost({host}: World, point: string): Promise<void> {
    const there = await digestsIn(host.repository('store'))
    const aside = await digestsIn(host.repository('quarantine'))
    for (const digest of atFirst) expect(there.has(digest) || aside.has(digest), `${point}: ${digest}`).to.equal(true)
  }

  it('apply loses nothing, and ends as if nothing had happened', async () => {
    const tried = await killEverywhere<World>(
      {
        afterDeath: nothingLost,
        begin,
        contents: async ({host}) => contentsOf(host.repository('store')),
        work: apply,
      },
      {stride: STRIDE},
    )
    expect(tried).to.be.greaterThan(20)
  })

  it('undo loses nothing, and ends where it began', async () => {
    const first = await begin()
    const before = await tagsOf(first.host.repository('store'))
    const tried = await killEverywhere<World>(
      {
        afterDeath: nothingLost,
        async begin() {
          const world = await begin()
          await apply(world, new Life())
          return world
        },
        async contents({host}) {
          const tags = await tagsOf(host.repository('store'))
          expect(tags).to.deep.equal(before)
          return tags
        },
        work: undo,
      },
      {stride: STRIDE},
    )
    expect(tried).to.be.greaterThan(20)
  })

  it('apply brings back what it can: the tags that were lost lead to their objects again', async () => {
    const world = await begin()
    await apply(world, new Life())
    const store = new KlosetStore(world.host.repository('store'))
    for (const {bytes, mac} of [blobLost!, tagLost!]) {
      expect(await store.stat('packfile', mac)).to.include({digest: digestOf(bytes), tag: tagOf('packfile', mac)})
    }
  })
})
