import {expect} from 'chai'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'

import {flipBit} from '../../helpers/damage.js'
import {GOLDEN_PASSPHRASE, type GoldenName} from '../../helpers/hooks.js'
import {findPlakar, type Plakar, startPlakar} from '../../helpers/plakar.js'
import {RepairRig} from '../../helpers/repair-rig.js'
import {layOut} from '../../helpers/repair-sources.js'
import {DAMAGES} from '../../helpers/store-damages.js'

async function repair(rig: RepairRig): Promise<void> {
  const {failed, steps} = await rig.apply()
  expect(failed, JSON.stringify(steps)).to.equal(0)
}

/** plakar has the last word on what a repair has made. */
describe('repaired stores and plakar', function () {
  this.timeout(180_000)
  let plakar: Plakar | undefined

  beforeEach(async function () {
    const program = findPlakar()
    if (program) {
      plakar = await startPlakar(program)
      return
    }

    const missing = 'plakar is not on PATH or in KLOSET_OCI_PLAKAR'
    if ((process.env['KLOSET_OCI_REQUIRE_PEERS'] ?? '').split(/[\s,]+/).includes('plakar')) throw new Error(missing)
    process.stderr.write(`skipped: ${missing}\n`)
    this.skip()
  })

  afterEach(async () => {
    await plakar?.close()
    plakar = undefined
  })

  /** What plakar says of the store, and the files that it gets back. */
  async function ask(rig: RepairRig) {
    const store = layOut(rig.objects())
    const passphrase = rig.name.startsWith('encrypted') ? GOLDEN_PASSPHRASE : undefined
    const listing = await plakar!.run(['at', store, 'ls', '-uuid'], {passphrase})
    const snapshots = [...listing.stdout.matchAll(/\b[\da-f]{64}\b/g)].map(([id]) => id)
    const check = await plakar!.run(['at', store, 'check'], {passphrase})
    return {check, passphrase, snapshots, store}
  }

  for (const name of ['plaintext', 'encrypted'] as const satisfies GoldenName[]) {
    it(`${name}: takes a state that was made of packfile indexes, and restores through it`, async () => {
      const rig = new RepairRig(name)
      for (const tag of rig.tagsOf('state')) rig.editBlob(rig.layerOf(tag), () => {})
      const plan = await rig.plan()
      expect(plan.steps.map(({action}) => action.kind)).to.include('rebuild-state')
      await repair(rig)
      const {check, passphrase, snapshots, store} = await ask(rig)
      expect(snapshots).to.have.length(2)
      expect(check.status, check.stderr).to.equal(0)
      const target = join(plakar!.home, 'restored')
      const restored = await plakar!.run(['-quiet', 'at', store, 'restore', '-to', target, snapshots[0]!], {passphrase})
      expect(restored.status, restored.stderr).to.equal(0)
      expect(readFileSync(join(target, 'text09.txt')).length).to.be.greaterThan(0)
    })
  }

  it('has its own cache believed for which state told of which packfiles', async () => {
    const rig = new RepairRig('plaintext')
    const whole = await ask(rig)
    expect(whole.check.status, whole.check.stderr).to.equal(0)
    const tags = rig.tagsOf('state')
    for (const tag of tags) rig.editBlob(rig.layerOf(tag), () => {})
    const plan = await rig.plan([`cache:${join(plakar!.home, '.cache')}`])
    expect(plan.steps.map(({action, tag}) => [action.kind, tag])).to.have.deep.members(
      tags.map((tag) => ['rebuild-state', tag]),
    )
    await repair(rig)
    const {check, snapshots} = await ask(rig)
    expect(snapshots).to.have.length(2)
    expect(check.status, check.stderr).to.equal(0)
  })

  it('finds everything in the place of a packfile whose padding was damaged', async () => {
    const rig = new RepairRig('plaintext')
    const [tag] = rig.tagsOf('packfiles').sort((a, b) => rig.size(b) - rig.size(a))
    rig.editBlob(rig.layerOf(tag!), (bytes) => flipBit(bytes, 100 * 8))
    const plan = await rig.plan()
    expect(plan.unfixable).to.deep.equal([])
    await repair(rig)
    const {check, snapshots} = await ask(rig)
    expect(snapshots).to.have.length(2)
    expect(check.status, check.stderr).to.equal(0)
  })

  it('misses the paths alone that the plan says are lost', async () => {
    const rig = new RepairRig('plaintext')
    const [tag] = rig.tagsOf('packfiles').sort((a, b) => rig.size(b) - rig.size(a))
    rig.editBlob(rig.layerOf(tag!), (bytes) => flipBit(bytes, Math.floor(bytes.length / 3) * 8))
    const {unfixable} = await rig.plan()
    const lost = new Set(unfixable.flatMap(({paths}) => paths.map(({path}) => path)))
    expect([...lost]).to.deep.equal(['/tmp/fx/src/dir/sub/random.bin'])
    await repair(rig)
    const {check, snapshots} = await ask(rig)
    expect(snapshots).to.have.length(2)
    expect(check.status).to.equal(65)
    const wrong = [...check.stdout.matchAll(/KO ✘ (\/\S*)/g), ...check.stderr.matchAll(/KO ✘ (\/\S*)/g)].map(
      ([, path]) => path!.replace(/:$/, ''),
    )
    expect(wrong.length).to.be.greaterThan(0)
    for (const path of wrong)
      expect(
        [...lost].some((one) => one.startsWith(path)),
        path,
      ).to.equal(true)
  })

  it('checks clean after each repair from a mirror', async () => {
    for (const [index, {name, run}] of DAMAGES.entries()) {
      const rig = new RepairRig('plaintext')
      const tags = ['CONFIG', rig.tagsOf('packfiles')[0]!, rig.tagsOf('state')[0]!]
      const tag = tags[index % tags.length]!
      await run(rig, tag)
      await rig.plan([rig.mirror])
      await repair(rig)
      const {check} = await ask(rig)
      expect(check.status, `${name} of ${tag}: ${check.stderr}`).to.equal(0)
    }
  })
})
