import {expect} from 'chai'
import {rmSync, symlinkSync} from 'node:fs'
import {basename, join} from 'node:path'

import {openLayout} from '../../src/registry/layout/open-layout.js'
import {openRepository} from '../../src/registry/open.js'
import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {GOLDEN_PASSPHRASE, goldenCopy, scratchDir} from '../helpers/hooks.js'
import {putLock} from '../helpers/locks.js'
import {RepairRig} from '../helpers/repair-rig.js'
import {contentsOf} from '../helpers/store-shape.js'

interface CopyDocument {
  counts: Record<string, number>
  deletion?: {applied: boolean; objects: number}
  error?: {code: string; message: string}
  exitCode: number
  mounted: number
  objects: {status: string; tag: string}[]
  schema: string
}

async function contentsAt(location: string) {
  const repository = await openRepository(location)
  return contentsOf(repository).finally(async () => repository.close())
}

describe('copy as a command', () => {
  let fake: FakeRegistry

  beforeEach(async () => {
    fake = await FakeRegistry.start({mount: 'full'})
  })

  afterEach(async () => {
    expect(fake.violations).to.deep.equal([])
    await fake.stop()
  })

  it('goes from a directory to a registry, within it and back, with the same digests', async () => {
    const golden = `oci-layout:${goldenCopy('encrypted')}`
    const [main, other] = [`oci://${fake.host}/main`, `oci://${fake.host}/other`]
    const back = `oci-layout:${join(scratchDir('copy'), 'back')}`
    const first = await cli(['copy', golden, main])
    expect(first.status, first.stderr).to.equal(0)
    expect(first.stdout).to.contain('the target holds all of it')

    const uploads = fake.count('PUT', /uploads/)
    const second = await cli(['copy', main, other, '--json'])
    const document = second.json<CopyDocument>()
    expect(document).to.include({exitCode: 0, schema: 'kloset-oci/copy/v1'})
    expect(document.mounted).to.equal(document.counts['copied'])
    // Its config blob at most.
    expect(fake.count('PUT', /uploads/) - uploads).to.be.at.most(1)

    expect((await cli(['copy', other, back])).status).to.equal(0)
    const contents = await contentsAt(golden)
    for (const location of [main, other, back]) expect(await contentsAt(location)).to.deep.equal(contents)

    const again = (await cli(['copy', golden, back, '--json'])).json<CopyDocument>()
    expect(again.objects).to.deep.equal([])
    expect(again.counts).to.include({copied: 0, present: Object.keys(contents).length})
  })

  it('makes no directory in a dry run', async () => {
    const target = join(scratchDir('copy'), 'never')
    const {status, stdout} = await cli([
      'copy',
      `oci-layout:${goldenCopy('plaintext')}`,
      `oci-layout:${target}`,
      '--dry-run',
    ])
    expect(status).to.equal(0)
    expect(stdout).to.contain('nothing was written')
    expect((await cli(['ls', `oci-layout:${target}`])).status).to.equal(66)
  })

  it('refuses another store with 73, a missing one with 66, and one login for two registries with 64', async () => {
    const [a, b] = [goldenCopy('plaintext'), goldenCopy('encrypted')]
    expect((await cli(['copy', `oci-layout:${a}`, `oci-layout:${b}`])).status).to.equal(73)
    expect((await cli(['copy', `oci-layout:${a}-none`, `oci-layout:${b}`])).status).to.equal(66)
    const login = ['copy', `oci://${fake.host}/a`, 'oci://127.0.0.1:1/b', '--username', 'me']
    const refused = await cli(login, {env: {KLOSET_OCI_PASSWORD: 'secret'}})
    expect(refused.status).to.equal(64)
    expect(fake.requests).to.deep.equal([])
  })

  it('ends with 65 when an object is bad, having copied the others', async () => {
    const root = goldenCopy('plaintext')
    const contents = await contentsAt(`oci-layout:${root}`)
    const tag = Object.keys(contents).find((name) => name.startsWith('packfiles-'))
    rmSync(join(root, 'blobs', 'sha256', contents[tag!]!.bytes.slice('sha256:'.length)))
    const target = `oci-layout:${join(scratchDir('copy'), 'target')}`
    const {status, stdout} = await cli(['copy', `oci-layout:${root}`, target])
    expect(status).to.equal(65)
    expect(stdout).to.match(new RegExp(`^failed .*${tag}`, 'm'))
    expect(Object.keys(await contentsAt(target))).to.deep.equal(Object.keys(contents).filter((name) => name !== tag))
  })

  it('says what only the target has, and deletes it when told to', async () => {
    const root = goldenCopy('plaintext')
    const target = `oci-layout:${join(scratchDir('copy'), 'target')}`
    await cli(['copy', `oci-layout:${root}`, target])
    const source = await openLayout(root)
    const states: string[] = []
    for await (const tag of source.tags()) if (tag.startsWith('state-')) states.push(tag)
    await source.manifests.untag(states[0]!)
    await source.close()

    const plan = (await cli(['copy', `oci-layout:${root}`, target, '--delete', '--json'])).json<CopyDocument>()
    expect(plan.deletion).to.deep.include({applied: false, objects: 1})
    expect(plan.objects).to.deep.include.members([{...plan.objects[0]!, status: 'would-delete', tag: states[0]}])
    expect(await contentsAt(target)).to.have.property(states[0]!)

    const done = await cli(['copy', `oci-layout:${root}`, target, '--delete', '--yes'])
    expect(done.status).to.equal(0)
    expect(await contentsAt(target)).to.deep.equal(await contentsAt(`oci-layout:${root}`))
    expect(await contentsAt(target)).to.have.property('CONFIG')
  })

  it('deletes beside stale locks and says what removes them, and not beside a held one', async () => {
    const root = goldenCopy('plaintext')
    const target = `oci-layout:${join(scratchDir('copy'), 'target')}`
    await cli(['copy', `oci-layout:${root}`, target])
    const source = await openLayout(root)
    for await (const tag of source.tags()) if (tag.startsWith('packfiles-')) await source.manifests.untag(tag)
    await source.close()
    await putLock(target, 11 * 60_000)
    const held = await putLock(target, 0)
    const args = ['copy', `oci-layout:${root}`, target, '--delete', '--yes']
    const refused = await cli(args)
    expect([refused.status, refused.stderr.includes('backup-host (exclusive)')], refused.stderr).to.deep.equal([
      75,
      true,
    ])
    expect(Object.keys(await contentsAt(target)).filter((tag) => tag.startsWith('packfiles-'))).to.have.length(4)
    await cli(['rm', target, 'lock', held, '--yes', '--force'])
    const done = await cli(args)
    expect(done.status, done.stderr).to.equal(0)
    expect(done.stderr).to.contain('1 lock of the target that nobody holds').and.to.contain('locks rm')
    expect(Object.keys(await contentsAt(target)).filter((tag) => tag.startsWith('packfiles-'))).to.deep.equal([])
  })

  it('checks MACs of an encrypted store with its passphrase only', async () => {
    const golden = `oci-layout:${goldenCopy('encrypted')}`
    const target = `oci-layout:${join(scratchDir('copy'), 'target')}`
    expect((await cli(['copy', golden, target, '--verify', 'mac'])).status).to.equal(64)
    const env = {KLOSET_OCI_PASSPHRASE: GOLDEN_PASSPHRASE}
    expect((await cli(['copy', golden, target, '--verify', 'mac'], {env})).status).to.equal(0)
  })

  it('heals what is cut short at the target, whoever wrote its manifest', async () => {
    const rig = new RepairRig('plaintext')
    const [tag] = rig.tagsOf('state')
    for (const left of [100, 0]) {
      rig.editBlob(rig.layerOf(tag!), (bytes) => bytes.subarray(0, left))
      const {counts} = (await cli(['copy', rig.mirror, rig.location, '--json'])).json<CopyDocument>()
      expect(counts, String(left)).to.include({healed: 1, present: 6})
      expect((await rig.check()).findings).to.deep.equal([])
    }
  })

  it('refuses one folder under two names', async () => {
    const folder = goldenCopy('plaintext')
    const link = join(scratchDir('link'), 'store')
    symlinkSync(folder, link)
    for (const other of [`${folder}/`, link, `${folder}/../${basename(folder)}`]) {
      const {error, exitCode} = (
        await cli(['copy', `oci-layout:${folder}`, `oci-layout:${other}`, '--json'])
      ).json<CopyDocument>()
      expect([exitCode, error?.message], other).to.deep.equal([
        64,
        `oci-layout:${folder}: cannot be copied onto itself`,
      ])
    }
  })
})
