import {expect} from 'chai'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {scratchDir} from '../helpers/hooks.js'
import {RepairRig} from '../helpers/repair-rig.js'

interface Document {
  readonly complete?: boolean
  readonly error?: {code: string; message: string}
  readonly exitCode: number
  readonly gone?: Readonly<Record<string, number>>
  readonly objects?: readonly {reason?: string; status: string; tag: string}[]
  readonly run?: number
}

async function json(args: readonly string[]): Promise<Document> {
  const {json: parse, status} = await cli([...args, '--json'])
  const document = parse<Document & {schema: string}>()
  expect([document.exitCode, document.schema]).to.deep.equal([status, 'kloset-oci/mirror/v1'])
  return document
}

describe('mirror as a command', () => {
  let fake: FakeRegistry

  beforeEach(async () => {
    fake = await FakeRegistry.start()
  })

  afterEach(async () => {
    expect(fake.violations).to.deep.equal([])
    await fake.stop()
  })

  it('brings everything, notices what has gone, and forgets it when it is told to', async () => {
    const rig = new RepairRig('plaintext')
    const folder = scratchDir('mirror')
    const [ledger, metrics] = [join(folder, 'main.jsonl'), join(folder, 'mirror.prom')]
    const target = `oci://${fake.host}/mirror/main`
    const args = ['mirror', rig.location, target, '--ledger', ledger]
    const first = await json(args)
    expect(first).to.deep.include({complete: true, exitCode: 0, run: 1})
    expect(first.objects!.map(({status}) => status)).to.deep.equal(rig.entries().map(() => 'copied'))
    expect((await cli(['diff', rig.location, target])).status).to.equal(0)

    const [packfile] = rig.tagsOf('packfiles')
    rig.forgetTag(packfile!)
    const second = await cli([...args, '--metrics', metrics])
    expect(second.status, second.stderr).to.equal(65)
    expect(second.stdout)
      .to.match(new RegExp(`^gone .*${packfile}`, 'm'))
      .and.to.contain('run 2 of this ledger')
    expect(second.stdout).to.contain('1 object gone from the source, and nothing says why')
    expect(second.stderr).to.contain('what expires or cleans up files there').and.not.to.contain('registry')
    expect(second.stderr).to.contain('--accept-gone').and.to.contain('to bring it back: kloset-oci copy ')
    expect(readFileSync(metrics, 'utf8')).to.match(/^\S*mirror_gone_objects\{.*reason="unexplained".*\} 1$/m)
    const third = await json(args)
    expect([third.exitCode, third.gone]).to.deep.equal([65, {accepted: 0, maintenance: 0, unexplained: 1}])
    expect(third.objects!.map(({reason, status, tag}) => [status, reason, tag])).to.deep.equal([
      ['gone', 'unexplained', packfile],
    ])
    // The mirror has it still: what brings it back is a repair from there.
    expect((await cli(['diff', rig.location, target])).stdout).to.match(new RegExp(`^only-right +${packfile}$`, 'm'))

    expect((await json([...args, '--accept-gone'])).exitCode).to.equal(0)
    expect(await json(args)).to.deep.include({exitCode: 0, objects: []})
  })

  it('refuses a ledger of another mirror, another store, and none', async () => {
    const rig = new RepairRig('plaintext')
    const folder = scratchDir('mirror')
    const ledger = join(folder, 'main.jsonl')
    const target = `oci-layout:${join(folder, 'target')}`
    const mirror = async (from: string, to: string) => json(['mirror', from, to, '--ledger', ledger])
    expect((await mirror(rig.location, target)).exitCode).to.equal(0)
    const other = await mirror(rig.location, `${target}-other`)
    expect([other.exitCode, other.error!.code]).to.deep.equal([64, 'INVALID_ARGUMENT'])
    expect(other.error!.message).to.contain('is the ledger of another mirror')
    const foreign = await json([
      'mirror',
      new RepairRig('encrypted').mirror,
      target,
      '--ledger',
      join(folder, 'another.jsonl'),
    ])
    expect([foreign.exitCode, foreign.error!.code]).to.deep.equal([73, 'ALREADY_EXISTS'])
    expect((await mirror(`${rig.location}-none`, target)).exitCode).to.equal(66)
    expect((await cli(['mirror', rig.location, target])).status).to.equal(2)
  })
})
