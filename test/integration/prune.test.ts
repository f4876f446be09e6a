import {expect} from 'chai'
import {existsSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {goldenCopy, scratchDir} from '../helpers/hooks.js'
import {putLock} from '../helpers/locks.js'
import {putOrphan} from '../helpers/orphans.js'
import {DAY} from '../helpers/test-store.js'

interface Document {
  readonly applied: boolean
  readonly error?: {readonly code: string}
  readonly exitCode: number
  readonly freed?: {readonly blobs: number; readonly manifests: number}
  readonly plan?: {readonly steps: {tag: string}[]}
  readonly residue?: {readonly blobs: {count: number}; readonly manifests: number}
}

async function prune(...args: string[]): Promise<Document> {
  const {json, status, stderr} = await cli(['prune', ...args, '--json'])
  expect(stderr).to.equal('')
  const document = json<Document>()
  expect(document.exitCode).to.equal(status)
  return document
}

async function tagsOf(store: string): Promise<string[]> {
  const {objects} = (await cli(['ls', store, '--json'])).json<{objects: {tag: string}[]}>()
  return objects.map(({tag}) => tag).sort()
}

describe('prune', () => {
  it('plans, removes, frees, and puts back', async () => {
    const layout = goldenCopy('plaintext')
    const store = `oci-layout:${layout}`
    const before = await tagsOf(store)
    const orphan = await putOrphan(store, 'left by a broken backup')
    const mac = await putLock(store, 30 * DAY, {})
    await putLock(store, 29 * DAY, {mac})
    const planFile = join(scratchDir('prune'), 'plan.json')

    const dry = await cli(['prune', store])
    expect(dry.status, dry.stderr).to.equal(0)
    expect(dry.stdout).to.contain(orphan).and.to.contain('next: kloset-oci prune')
    const planned = await prune(store, '-o', planFile)
    const tags = [orphan, `locks-${mac}`]
    expect([planned.applied, planned.plan!.steps.map(({tag}) => tag).sort()]).to.deep.equal([false, tags.sort()])
    expect(await tagsOf(store)).to.deep.equal([...before, ...tags].sort())

    const done = await prune(store, '-o', planFile, '--yes')
    expect([done.exitCode, done.applied]).to.deep.equal([0, true])
    expect(await tagsOf(store)).to.deep.equal(before)
    // Blobs that came within the time of grace stay; no file can be made to look older than that.
    expect(done.freed).to.deep.include({blobs: 0})
    expect((await cli(['gc-check', store, '--deep'])).status).to.equal(0)
    // The plan was begun: it is not written over.
    expect((await prune(store, '-o', planFile)).exitCode).to.equal(75)
    const undone = await cli(['repair', 'undo', planFile, '--yes'])
    expect(undone.status, undone.stderr).to.equal(0)
    expect(await tagsOf(store)).to.deep.equal([...before, ...tags].sort())
    expect((await cli(['gc-check', store, '--deep'])).status).to.equal(0)
  })

  it('does nothing where there is nothing to do, and needs -o to do anything', async () => {
    const store = `oci-layout:${goldenCopy('plaintext')}`
    const {applied, exitCode, plan} = await prune(store)
    expect([exitCode, applied, plan!.steps]).to.deep.equal([0, false, []])
    expect((await prune(store, '--yes')).exitCode).to.equal(64)
  })

  it('refuses a plan once a state has come that may know what it removes', async () => {
    const store = `oci-layout:${goldenCopy('plaintext')}`
    const orphan = await putOrphan(store, 'left by a broken backup')
    const folder = scratchDir('prune')
    const planFile = join(folder, 'plan.json')
    await prune(store, '-o', planFile)
    const ls = (await cli(['ls', store, 'state', '--json'])).json<{objects: {mac: string}[]}>()
    const state = join(folder, 'state')
    await cli(['get', store, 'state', ls.objects[0]!.mac, '-o', state])
    // Any new state will do: here it is one under another name.
    const name = `${'0'.repeat(63)}1`
    expect((await cli(['put', store, 'state', name, state])).status).to.equal(0)
    const refused = await cli(['repair', 'apply', planFile, '--yes', '--json'])
    expect(refused.json<Document>().error!.code).to.equal('INVALID_ARGUMENT')
    expect(await tagsOf(store)).to.include(orphan)
  })

  it('refuses while somebody works on the store, or something is missing', async () => {
    const layout = goldenCopy('plaintext')
    const store = `oci-layout:${layout}`
    await putOrphan(store, 'left by a broken backup')
    const mac = await putLock(store, 0)
    const planFile = join(scratchDir('prune'), 'plan.json')
    const locked = await prune(store, '-o', planFile, '--yes')
    expect([locked.exitCode, locked.error!.code, existsSync(planFile)]).to.deep.equal([75, 'LOCKED', false])
    await cli(['rm', store, 'lock', mac, '--yes', '--force'])
    const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
      manifests: {annotations?: Record<string, string>}[]
    }
    const at = index.manifests.findIndex(({annotations}) =>
      annotations?.['org.opencontainers.image.ref.name']?.startsWith('state-'),
    )
    index.manifests.splice(at, 1)
    writeFileSync(join(layout, 'index.json'), JSON.stringify(index))
    const damaged = await prune(store, '-o', planFile, '--yes')
    expect([damaged.exitCode, damaged.error!.code]).to.deep.equal([65, 'DAMAGE'])
  })

  it('works in a registry, whichever way it deletes', async () => {
    for (const options of [{}, {tagDelete: 'untag'}] as const) {
      const fake = await FakeRegistry.start(options)
      try {
        const store = `oci://${fake.host}/a/b`
        await cli(['create', store, '--plaintext'])
        const before = await tagsOf(store)
        const orphan = await putOrphan(store, 'left by a broken backup')
        const planFile = join(scratchDir('prune'), 'plan.json')
        const {applied, exitCode, plan} = await prune(store, '-o', planFile, '--yes')
        expect([exitCode, applied, plan!.steps.map(({tag}) => tag)]).to.deep.equal([0, true, [orphan]])
        expect(await tagsOf(store)).to.deep.equal(before)
        expect(fake.violations).to.deep.equal([])
      } finally {
        await fake.stop()
      }
    }
  })
})
