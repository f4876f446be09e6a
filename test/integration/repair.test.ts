import {expect} from 'chai'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {encodePlan, type RepairPlan} from '../../src/repair/index.js'
import {cli} from '../helpers/cli.js'
import {flipBit} from '../helpers/damage.js'
import {GOLDEN_PASSPHRASE, scratchDir} from '../helpers/hooks.js'
import {putLock} from '../helpers/locks.js'
import {needPeer, runPeer} from '../helpers/peers.js'
import {RepairRig} from '../helpers/repair-rig.js'

interface Document {
  readonly done?: number
  readonly error?: {readonly code: string; readonly message: string; readonly suggestions: readonly string[]}
  readonly exitCode: number
  readonly failed?: number
  readonly plan?: unknown
  readonly quarantine?: string
  readonly schema: string
  readonly steps?: readonly {
    readonly id: number
    readonly kind: string
    readonly status: string
    readonly tag: string
  }[]
  readonly store?: string
  readonly undone?: number
  readonly unfixable?: number
}

/** Runs a command with `--json`, and holds its document against what is promised of every one. */
async function json(...args: string[]): Promise<Document> {
  const {json: parse, status, stderr} = await cli([...args, '--json'])
  expect(stderr).to.equal('')
  const document = parse<Document>()
  expect(document.exitCode).to.equal(status)
  expect(document.schema).to.equal(`kloset-oci/${args[0]}-${args[1]}/v1`)
  return document
}

/** A golden store that has lost a packfile's content and a state's tag. */
class Damaged extends RepairRig {
  readonly folder = scratchDir('repair')
  readonly packfile: string
  readonly plan1: string
  readonly state: string

  constructor() {
    super('plaintext')
    this.plan1 = join(this.folder, 'plan.json')
    this.packfile = this.tagsOf('packfiles')[0]!
    this.state = this.tagsOf('state')[0]!
    this.editBlob(this.layerOf(this.packfile), () => {})
    this.forgetTag(this.state)
  }

  /** What the tags lead to, as a text. */
  index(): string {
    return readFileSync(join(this.root, 'index.json'), 'utf8')
  }

  /** Every tag, with the digest of what it leads to. */
  led(): string[] {
    return this.entries()
      .map(({annotations, digest}) => `${annotations?.['org.opencontainers.image.ref.name']} ${digest}`)
      .filter((line) => !line.startsWith('undefined'))
      .sort()
  }

  async planned(...args: string[]): Promise<this> {
    const {status, stderr} = await cli(['repair', 'plan', this.location, '-o', this.plan1, ...args])
    expect(status, stderr).to.equal(0)
    return this
  }
}

describe('repair as commands', () => {
  it('plans, asks, repairs, says what it did, and takes it back, for people', async () => {
    const rig = new Damaged()
    const atFirst = rig.led()
    const plan = await cli(['repair', 'plan', rig.location, '--from', rig.mirror, '-o', rig.plan1])
    expect(plan.status, plan.stderr).to.equal(0)
    expect(plan.stdout).to.match(/^1\. /m)
    for (const word of ['why', 'reads', 'keeps', 'writes', 'risk']) {
      expect(plan.stdout).to.match(new RegExp(`^   ${word} +\\S`, 'm'))
    }

    expect(plan.stdout).to.contain(rig.packfile).and.to.contain(rig.state)
    expect(plan.stdout).to.match(/2 steps: read .*plan\.json, then kloset-oci repair apply .*plan\.json\n$/)
    expect(rig.led()).to.deep.equal(atFirst)

    const unasked = await cli(['repair', 'apply', rig.plan1])
    expect([unasked.status, rig.led()]).to.deep.equal([64, atFirst])
    expect(unasked.stdout).to.equal(plan.stdout.slice(0, unasked.stdout.length)).and.not.equal('')
    expect(unasked.stderr).to.contain('nobody is there to ask').and.to.contain('--yes')

    const applied = await cli(['repair', 'apply', rig.plan1, '--yes'])
    expect(applied.status, applied.stderr).to.equal(0)
    expect(applied.stdout).to.match(/^1\. \S+ \S+: done$/m)
    expect(applied.stdout).to.contain(
      `2 steps done, 0 failed; what was replaced is in oci-layout:${rig.plan1}.quarantine`,
    )
    const again = await cli(['repair', 'apply', rig.plan1, '--yes'])
    expect([again.status, /^1\. \S+ \S+: done before$/m.test(again.stdout)]).to.deep.equal([0, true])

    const undone = await cli(['repair', 'undo', rig.plan1, '--yes'])
    expect(undone.status, undone.stderr).to.equal(0)
    expect(undone.stdout).to.match(/undone, 0 failed; the quarantine is oci-layout:/)
    expect(rig.led()).to.deep.equal(atFirst)
    expect((await cli(['repair', 'apply', rig.plan1, '--yes'])).status).to.equal(0)
    expect((await cli(['gc-check', rig.location, '--deep'])).status).to.equal(0)
  })

  it('says the same as documents', async () => {
    const rig = new Damaged()
    const atFirst = rig.led()
    const planned = await json('repair', 'plan', rig.location, '--from', rig.mirror, '-o', rig.plan1)
    const file = JSON.parse(readFileSync(rig.plan1, 'utf8')) as RepairPlan & {sha256: string}
    const {sha256, ...content} = file
    expect(planned).to.deep.include({exitCode: 0, id: sha256, output: rig.plan1, plan: content})
    const applied = await json('repair', 'apply', rig.plan1, '--yes')
    expect(applied).to.deep.include({
      done: 2,
      exitCode: 0,
      failed: 0,
      plan: sha256,
      quarantine: `oci-layout:${rig.plan1}.quarantine`,
      store: rig.location,
      unfixable: 0,
    })
    const steps = content.steps.map(({action, id, tag}) => ({id, kind: action.kind, status: 'done', tag}))
    expect(applied.steps).to.deep.equal(steps)
    const undone = await json('repair', 'undo', rig.plan1, '--yes')
    expect(undone).to.include({exitCode: 0, failed: 0, plan: sha256, store: rig.location})
    expect(undone.steps!.map(({id}) => id)).to.deep.equal([2, 1])
    expect(rig.led()).to.deep.equal(atFirst)
    // A whole store has an empty plan, and nothing to carry out.
    const whole = new RepairRig('plaintext')
    const none = await json('repair', 'plan', whole.location, '-o', join(rig.folder, 'none.json'))
    expect((none.plan as RepairPlan).steps).to.deep.equal([])
    expect(await json('repair', 'apply', join(rig.folder, 'none.json'), '--yes')).to.include({done: 0, exitCode: 0})
  })

  it('refuses a plan that is cut short, foreign, edited or no plan of ours, and changes nothing', async () => {
    const rig = await new Damaged().planned('--from', new RepairRig('plaintext').mirror)
    const before = rig.led()
    const sound = readFileSync(rig.plan1, 'utf8')
    const {sha256, ...plan} = JSON.parse(sound) as RepairPlan & {sha256: string}
    const [first, ...others] = plan.steps
    const resealed = (changed: unknown) => encodePlan({...plan, ...(changed as RepairPlan)}).toString()
    const hostile: readonly (readonly [what: string, text: string, says: string])[] = [
      ['truncated', sound.slice(0, -100), 'cut short'],
      ['of another schema', resealed({schema: 'kloset-oci/mirror/v1'}), 'its schema is'],
      [
        'with a step of no known kind',
        resealed({steps: [{...first, action: {kind: 'wipe'}}, ...others]}),
        'no such action: wipe',
      ],
      ['with another sum', sound.replace(sha256, `${'0'.repeat(63)}1`), 'was changed after it was made'],
    ]
    for (const [what, text, says] of hostile) {
      const file = join(rig.folder, 'hostile.json')
      writeFileSync(file, text)
      const refused = await json('repair', 'apply', file, '--yes')
      expect([refused.exitCode, refused.error!.code], what).to.deep.equal([65, 'STORE_FORMAT'])
      expect(refused.error!.message, what).to.contain(says)
    }

    const undo = await json('repair', 'undo', join(rig.folder, 'hostile.json'), '--yes')
    expect(undo.error!.code).to.equal('STORE_FORMAT')
    expect((await json('repair', 'apply', join(rig.folder, 'nowhere.json'), '--yes')).exitCode).to.equal(66)
    // Of a sound one nothing was done.
    expect((await json('repair', 'undo', rig.plan1, '--yes')).error!.code).to.equal('NOT_FOUND')
    expect(rig.led()).to.deep.equal(before)
    expect(rig.quarantineExists()).to.equal(false)
  })

  it('refuses when the store has changed, is in use, or the plan was begun', async () => {
    const rig = await new Damaged().planned('--from', new RepairRig('plaintext').mirror)
    const held = await putLock(rig.location, 0)
    const locked = await json('repair', 'apply', rig.plan1, '--yes')
    expect([locked.exitCode, locked.error!.code]).to.deep.equal([75, 'LOCKED'])
    expect(locked.error!.message).to.contain('backup-host')
    await cli(['rm', rig.location, 'lock', held, '--yes', '--force'])

    // Somebody takes away what the plan heals.
    const index = rig.index()
    rig.forgetTag(rig.packfile)
    const changed = await json('repair', 'apply', rig.plan1, '--yes')
    expect([changed.exitCode, changed.error!.code]).to.deep.equal([64, 'INVALID_ARGUMENT'])
    expect(changed.error!.message).to.contain('has changed since the plan was made')
    expect(changed.error!.suggestions.join(' ')).to.contain('new plan')

    writeFileSync(join(rig.root, 'index.json'), index)
    expect((await json('repair', 'apply', rig.plan1, '--yes')).exitCode).to.equal(0)
    const begun = await json('repair', 'plan', rig.location, '-o', rig.plan1)
    expect([begun.exitCode, begun.error!.code]).to.deep.equal([73, 'ALREADY_EXISTS'])
    const elsewhere = `oci-layout:${join(rig.folder, 'elsewhere')}`
    expect((await json('repair', 'undo', rig.plan1, '--yes', '--quarantine', elsewhere)).exitCode).to.equal(64)
  })

  it('says with 65 what stays lost, and still does the rest', async () => {
    const rig = new Damaged()
    const plan = await cli(['repair', 'plan', rig.location, '-o', rig.plan1])
    expect(plan.status, plan.stderr).to.equal(65)
    expect(plan.stdout)
      .to.contain(`stays lost ${rig.packfile}`)
      .and.to.match(/^ {3}path +[\da-f]{8} \//m)
      .and.to.contain('no other place was named')
    const applied = await cli(['repair', 'apply', rig.plan1, '--yes'])
    expect(applied.status, applied.stderr).to.equal(0)
    expect(applied.stdout).to.contain('1 object stays lost, as the plan says')
    expect(applied.stdout).to.contain(`next: kloset-oci verify ${rig.location} --tier data`)
    const {findings} = (await cli(['gc-check', rig.location, '--json'])).json<{
      findings: {kind: string; severity: string; tag: string}[]
    }>()
    const errors = findings.filter(({severity}) => severity === 'error')
    expect(errors.map(({kind, tag}) => `${kind} ${tag}`)).to.deep.equal([`blob-missing ${rig.packfile}`])
  })

  it('wants the passphrase of an encrypted store to lock it, or --no-lock', async () => {
    const rig = new RepairRig('encrypted')
    const [tag] = rig.tagsOf('packfiles')
    rig.editBlob(rig.layerOf(tag!), (bytes) => flipBit(bytes, bytes.length * 4))
    const file = join(scratchDir('repair'), 'plan.json')
    const env = {PLAKAR_PASSPHRASE: GOLDEN_PASSPHRASE}
    const plan = await cli(['repair', 'plan', rig.location, '--from', rig.mirror, '-o', file], {env})
    expect(plan.status, plan.stderr).to.equal(0)
    const locked = await json('repair', 'apply', file, '--yes')
    expect([locked.exitCode, locked.error!.code]).to.deep.equal([77, 'UNAUTHORIZED'])
    expect(locked.error!.suggestions.join(' ')).to.contain('--no-lock')
    expect((await json('repair', 'apply', file, '--yes', '--no-lock')).exitCode).to.equal(0)
    expect((await cli(['gc-check', rig.location, '--deep'], {env})).status).to.equal(0)
  })

  it('asks on a terminal, and does nothing without a yes', async function () {
    const script = needPeer(this, 'script')
    const rig = await new Damaged().planned('--from', new RepairRig('plaintext').mirror)
    const before = rig.led()
    const run = new URL('../../bin/run.js', import.meta.url).pathname
    const asked = async (answer: string) =>
      runPeer(script, ['-qec', `'${process.execPath}' '${run}' repair apply '${rig.plan1}'`, '/dev/null'], {
        env: {HOME: rig.folder},
        input: `${answer}\n`,
      })
    const no = await asked('n')
    expect(no.output).to.contain('[y/N]').and.to.contain('nothing was changed')
    expect([no.status, rig.led()]).to.deep.equal([130, before])
    const yes = await asked('y')
    expect([yes.status, yes.output.includes('2 steps done')], yes.output.slice(0, 4000)).to.deep.equal([0, true])
  })
})
