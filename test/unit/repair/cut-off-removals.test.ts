import {expect} from 'chai'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Repository} from '../../../src/registry/interfaces.js'

import {collectGcCheck, type FindingKind, LockReader} from '../../../src/checker/index.js'
import {exitCodeOf} from '../../../src/checker/summary.js'
import {collectVerify} from '../../../src/checker/verify/index.js'
import {sealConfiguration} from '../../../src/kloset/configuration.js'
import {createStore} from '../../../src/kloset/create.js'
import {readObjectManifest} from '../../../src/kloset/object-manifest.js'
import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {digestOf} from '../../../src/registry/digest.js'
import {MemoryHost} from '../../../src/registry/memory/repository.js'
import {openRepository} from '../../../src/registry/open.js'
import {EMPTY_CONFIG, EMPTY_CONFIG_BYTES, emptyStandIn, standInFor} from '../../../src/registry/remote/stand-in.js'
import {
  applyRepair,
  encodePlan,
  planRepair,
  readPlan,
  type RepairPlan,
  type RunOptions,
  undoRepair,
} from '../../../src/repair/index.js'
import {removeLocks} from '../../../src/repair/locks.js'
import {planPrune} from '../../../src/repair/prune.js'
import {StoreSource} from '../../../src/repair/sources/store-source.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {scratchDir} from '../../helpers/hooks.js'
import {Life} from '../../helpers/kill/life.js'
import {MortalProxy} from '../../helpers/kill/proxy.js'
import {named} from '../../helpers/kill/sites.js'
import {testMac} from '../../helpers/macs.js'
import {listed} from '../../helpers/registry-objects.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {
  colours,
  CONFIGURATION,
  knows,
  lockOf,
  NOW,
  packfileOf,
  putState,
  removes,
  stateTag,
  TEST_CLOCK,
} from '../../helpers/test-store.js'
import {copied} from '../transfer/copies.js'

const STORE = 'oci://store.example/main'
const MIRROR = 'oci://mirror.example/main'

const [needed, removed, coloured] = await Promise.all(
  ['needed', 'removed', 'coloured'].map(async (text) => packfileOf(text)),
)
const LOCK = testMac(9)
const tags = {
  coloured: tagOf('packfile', coloured!.mac),
  lock: tagOf('lock', LOCK),
  needed: tagOf('packfile', needed!.mac),
  removed: tagOf('packfile', removed!.mac),
}

/** One packfile that a state needs, one that it says was removed, one that it marks as deleted. */
async function fill(repository: Repository): Promise<KlosetStore> {
  const store = await createStore(repository, await sealConfiguration(CONFIGURATION), {clock: TEST_CLOCK})
  for (const {bytes, mac} of [needed!, removed!, coloured!]) await store.put('packfile', mac, bufferSource(bytes))
  await putState(store, 1, [knows(needed!.mac), knows(removed!.mac), knows(coloured!.mac)])
  await putState(store, 2, [removes(removed!.mac), colours(coloured!.mac, NOW - 1000)])
  return store
}

async function filled() {
  const host = new MemoryHost()
  const repository = host.repository('store')
  return {host, repository, store: await fill(repository)}
}

/** What a process leaves that is killed between the two requests of a removal: the object is still there. */
async function halfRemove({manifests}: Repository, tag: string): Promise<void> {
  const original = await manifests.get(tag)
  await manifests.push(standInFor(original), {tag})
  await manifests.delete(original.descriptor.digest)
}

/** The same of an object that was damaged before: nothing is left but the tag. */
async function emptyOut({blobs, manifests}: Repository, tag: string): Promise<void> {
  const {digest} = await manifests.resolve(tag)
  await blobs.push(EMPTY_CONFIG, bufferSource(EMPTY_CONFIG_BYTES))
  await manifests.push(emptyStandIn(), {tag})
  await manifests.delete(digest)
}

async function look(repository: Repository) {
  const check = await collectGcCheck(repository, {clock: TEST_CLOCK, deep: true})
  const audit = await collectVerify(repository, {clock: TEST_CLOCK, tier: 'mac'})
  const told = ({findings}: typeof check) =>
    findings
      .filter(({kind, severity}) => severity !== 'info' && kind !== 'config-duplicate')
      .map(({kind, tag}) => `${kind} ${tag}`)
      .sort()
  return {check, exits: [exitCodeOf(check.summary), exitCodeOf(audit.summary)], told: [told(check), told(audit)]}
}

/** Both checks say the same. */
async function expectFindings(repository: Repository, exit: number, ...findings: [FindingKind, string][]) {
  const {check, exits, told} = await look(repository)
  const expected = findings.map(([kind, tag]) => `${kind} ${tag}`).sort()
  expect(told).to.deep.equal([expected, expected])
  expect(exits).to.deep.equal([exit, exit])
  return check
}

/** The steps of a plan with their tags, and how to apply and undo it. */
async function planned(
  host: MemoryHost | {repository(name: string): Repository},
  {mirror}: {mirror?: Repository} = {},
) {
  const plan = await planRepair(named(host.repository('store'), STORE), {
    clock: TEST_CLOCK,
    sources: mirror ? [new StoreSource(named(mirror, MIRROR))] : [],
    unlock: async () => undefined, // eslint-disable-line unicorn/no-useless-undefined -- a plaintext store
  })
  const planPath = join(scratchDir('plan'), 'plan.json')
  writeFileSync(planPath, encodePlan(plan))
  const options: RunOptions = {
    clock: TEST_CLOCK,
    lock: true,
    openRepository: async (location) =>
      location === MIRROR
        ? named(mirror!, MIRROR)
        : named(host.repository(location === STORE ? 'store' : 'aside'), location),
    planPath,
    quarantine: 'oci://store.example/aside',
    unlock: async () => undefined, // eslint-disable-line unicorn/no-useless-undefined -- a plaintext store
  }
  return {
    apply: async () => applyRepair(await readPlan(planPath), options),
    plan,
    steps: stepsOf(plan),
    undo: async () => undoRepair(await readPlan(planPath), options),
  }
}

function stepsOf({steps}: RepairPlan): string[] {
  return steps.map(({action, tag}) => `${action.kind} ${tag}`)
}

describe('removals that were cut off', () => {
  it('of packfiles that nothing needs are a warning, and a repair finishes them, and can be undone', async () => {
    const {host, repository} = await filled()
    await halfRemove(repository, tags.removed)
    await halfRemove(repository, tags.coloured)
    const {findings, summary} = await expectFindings(
      repository,
      0,
      ['removal-cut-off', tags.removed],
      ['removal-cut-off', tags.coloured],
    )
    expect(summary.nextSteps.join(' ')).to.contain('let `repair plan` finish them')
    expect(findings.find(({kind}) => kind === 'removal-cut-off')!.message).to.contain('the object is still there')

    const {apply, plan, steps, undo} = await planned(host)
    expect(steps.sort()).to.deep.equal([`remove-tag ${tags.coloured}`, `remove-tag ${tags.removed}`].sort())
    expect(plan.unfixable).to.deep.equal([])
    const before = await repository.manifests.resolve(tags.removed)
    expect(await apply()).to.include({done: 2, failed: 0})
    expect(await listed(repository.tags())).to.not.include.members([tags.removed, tags.coloured])
    await expectFindings(repository, 0)
    expect(await undo()).to.include({failed: 0, undone: 2})
    expect(await repository.manifests.resolve(tags.removed)).to.include({digest: before.digest})
  })

  it('are not finished when states came since the plan was made: one of them may need it', async () => {
    const {host, repository, store} = await filled()
    await halfRemove(repository, tags.removed)
    const {apply} = await planned(host)
    await putState(store, 3, [knows(removed!.mac)])
    expect((await failureOf(apply())).facts['first']).to.contain('list of states')
    expect(await listed(repository.tags())).to.include(tags.removed)
  })

  it('of what the store needs lose nothing, and a repair takes them back', async () => {
    const {host, repository, store} = await filled()
    const objects = [tags.needed, stateTag(1), stateTag(2), 'CONFIG']
    for (const tag of objects) await halfRemove(repository, tag)
    await expectFindings(repository, 0, ...objects.map((tag) => ['removal-cut-off', tag] as [FindingKind, string]))
    const {apply, plan, steps} = await planned(host)
    expect(steps.sort()).to.deep.equal(objects.map((tag) => `rewrite-manifest ${tag}`).sort())
    expect(plan.unfixable).to.deep.equal([])
    expect((await apply()).failed).to.equal(0)
    await expectFindings(repository, 0)
    expect((await store.stat('packfile', needed!.mac)).size).to.equal(needed!.bytes.length)
  })

  it('are left alone while a state cannot be read, or is made by the same plan', async () => {
    const {host, repository} = await filled()
    await halfRemove(repository, tags.removed)
    await repository.manifests.untag(tags.needed)
    const {digest} = await repository.manifests.resolve(stateTag(2))
    await repository.blobs.delete(readObjectManifest(await repository.manifests.get(digest), 'state').layer)
    const {steps} = await planned(host)
    expect(steps).to.not.include(`remove-tag ${tags.removed}`)
  })

  it('that left nothing but the tag are damage when a state needs it', async () => {
    const {host, repository} = await filled()
    const mirror = new MemoryHost().repository('mirror')
    await fill(mirror)
    await emptyOut(repository, tags.needed)
    await repository.blobs.delete(digestOf(needed!.bytes))
    await expectFindings(repository, 65, ['removal-cut-off', tags.needed], ['tag-missing', tags.needed])
    const alone = await planned(host)
    expect(alone.steps).to.deep.equal([])
    expect(alone.plan.unfixable.map(({tag}) => tag)).to.deep.equal([tags.needed])

    const {apply, steps} = await planned(host, {mirror})
    expect(steps).to.deep.equal([`put-object ${tags.needed}`])
    expect((await apply()).failed).to.equal(0)
    await expectFindings(repository, 0)
  })

  it('that left nothing but the tag are no damage when nothing needs it', async () => {
    const {host, repository} = await filled()
    await putState(new KlosetStore(repository), 3, [removes(removed!.mac)])
    const objects = [tags.removed, tags.coloured, stateTag(3)]
    for (const tag of objects) await emptyOut(repository, tag)
    await expectFindings(repository, 0, ...objects.map((tag) => ['removal-cut-off', tag] as [FindingKind, string]))
    const {apply, plan, steps} = await planned(host)
    expect(steps.sort()).to.deep.equal(objects.map((tag) => `remove-tag ${tag}`).sort())
    expect(plan.unfixable).to.deep.equal([])
    expect((await apply()).failed).to.equal(0)
    await expectFindings(repository, 0)
  })

  it('of CONFIG with nothing left but the tag are damage', async () => {
    const {repository} = await filled()
    await emptyOut(repository, 'CONFIG')
    const {exits, told} = await look(repository)
    expect(exits).to.deep.equal([65, 65])
    expect(told[0]).to.include.members(['manifest-malformed CONFIG', 'removal-cut-off CONFIG'])
  })

  it('of locks hold nobody up for longer than ten minutes', async () => {
    const {host, repository, store} = await filled()
    await store.put('lock', LOCK, bufferSource(await lockOf(3)))
    await halfRemove(repository, tags.lock)
    const fresh = await planned(host)
    expect([fresh.steps, fresh.plan.unfixable]).to.deep.equal([[], []])
    expect(fresh.plan.notes.join(' ')).to.contain('it is not ten minutes old')

    await store.put('lock', LOCK, bufferSource(await lockOf(11)))
    await halfRemove(repository, tags.lock)
    expect((await planned(host)).steps).to.deep.equal([`remove-tag ${tags.lock}`])

    await emptyOut(repository, tags.lock)
    await expectFindings(repository, 0, ['removal-cut-off', tags.lock])
    const {apply, steps} = await planned(host)
    expect(steps).to.deep.equal([`remove-tag ${tags.lock}`])
    expect((await apply()).failed).to.equal(0)

    await store.put('lock', LOCK, bufferSource(await lockOf(11)))
    await emptyOut(repository, tags.lock)
    // Another plan is not held up by it either.
    await halfRemove(repository, tags.removed)
    expect((await planned(host)).steps).to.include(`remove-tag ${tags.removed}`)
    const reader = await LockReader.open(repository, {clock: TEST_CLOCK})
    expect(await reader.look(LOCK)).to.include({state: 'stale'})
    const {locks} = await removeLocks(repository, {apply: true, clock: TEST_CLOCK})
    expect(locks.map(({action}) => action)).to.deep.equal(['removed'])
  })

  it('are not told of a removal that is under way', async () => {
    for (const ends of ['gone', 'written again'] as const) {
      const {repository} = await filled()
      const whole = await repository.manifests.get(tags.removed)
      await halfRemove(repository, tags.removed)
      let looks = 0
      const {repository: changing} = spyRepository(repository, {
        async before({name, subject}) {
          if (name !== 'manifests.get' || subject !== tags.removed || ++looks !== 2) return
          await (ends === 'gone'
            ? repository.manifests.untag(tags.removed)
            : repository.manifests.push(whole, {tag: tags.removed}))
        },
      })
      const {findings} = await collectGcCheck(changing, {clock: TEST_CLOCK})
      expect(findings.map(({kind}) => kind)).to.not.include('removal-cut-off')
      expect(looks).to.be.greaterThan(1)
    }
  })

  it('are told by prune, which leaves them to repair', async () => {
    const {repository} = await filled()
    await halfRemove(repository, tags.removed)
    const {kept, plan} = await planPrune(repository, {clock: TEST_CLOCK})
    expect(plan.steps).to.deep.equal([])
    expect(kept.join(' ')).to.contain('1 removals were cut off')
  })

  it('do not go over into a copy', async () => {
    const {repository} = await filled()
    await halfRemove(repository, tags.needed)
    const target = new MemoryHost().repository('copy')
    const {summary} = await copied(repository, target)
    expect(summary.complete).to.equal(true)
    await expectFindings(target, 0)
  })

  it('at any request of one leave a store that is whole, and a repair ends them', async function () {
    this.timeout(120_000)
    const [made, ends] = [new Set<string>(), new Set<string>()]
    for (let at = 1, isOver = true; isOver; at++) {
      const fake = await FakeRegistry.start({tagDelete: 'digest-invalid'})
      const life = new Life(at)
      const proxy = await MortalProxy.start(fake.host, life)
      const dying = await openRepository(`oci://${proxy.host}/store`, {retry: {attempts: 1}})
      const repository = await openRepository(`oci://${fake.host}/store`)
      const aside = new MemoryHost().repository('aside')
      try {
        await fill(repository)
        // The official plugin's manifests of equal content, and whoever tags one again, have two tags on one manifest.
        await repository.manifests.tag(await repository.manifests.resolve(tags.removed), 'kept-by-hand')
        await new KlosetStore(dying).delete('packfile', removed!.mac).catch(() => {})
        isOver = life.isOver
        const {exits, told} = await look(repository)
        expect(exits, `request ${at}`).to.deep.equal([0, 0])
        const host = {repository: (name: string) => (name === 'store' ? open(repository) : aside)}
        const {apply, steps} = await planned(host)
        expect(steps, `request ${at}`).to.deep.equal(
          told[0]!.includes(`removal-cut-off ${tags.removed}`) ? [`remove-tag ${tags.removed}`] : [],
        )
        for (const step of steps) made.add(step)
        if (steps.length > 0) expect((await apply()).failed).to.equal(0)
        ends.add((await listed(repository.tags())).includes(tags.removed) ? 'there' : 'removed')
        expect(fake.violations).to.deep.equal([])
      } finally {
        await dying.close()
        await repository.close()
        await proxy.close()
        await fake.stop()
      }
    }

    expect([...made]).to.deep.equal([`remove-tag ${tags.removed}`])
    expect(ends).to.deep.equal(new Set(['removed', 'there']))
  })
})

/** Not to be closed by those who are given it. */
function open(repository: Repository): Repository {
  return new Proxy(repository, {
    get(target, property) {
      if (property === 'close') return async () => {}
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
