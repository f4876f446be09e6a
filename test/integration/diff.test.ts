import {expect} from 'chai'

import {cli} from '../helpers/cli.js'
import {flipBit} from '../helpers/damage.js'
import {RepairRig} from '../helpers/repair-rig.js'

interface Document {
  readonly counts: Readonly<Record<string, number>>
  readonly entries: readonly {kind: string; tag: string}[]
  readonly exitCode: number
  readonly identity: {sameStore: boolean}
  readonly verdict: string
}

async function diff(...args: string[]): Promise<Document> {
  const {json, status} = await cli(['diff', ...args, '--json'])
  const document = json<Document & {schema: string}>()
  expect([document.exitCode, document.schema]).to.deep.equal([status, 'kloset-oci/diff/v1'])
  return document
}

describe('diff as a command', () => {
  it('says what is equal, what is missing and what differs, each with its status', async () => {
    const rig = new RepairRig('plaintext')
    const [packfile, other] = rig.tagsOf('packfiles')
    const equal = await cli(['diff', rig.location, rig.mirror])
    expect(equal.status, equal.stderr).to.equal(0)
    expect(equal.stdout)
      .to.match(/^store [\da-f-]{36} on both sides$/m)
      .and.to.match(/^equal$/m)

    rig.forgetTag(packfile!)
    const partial = await diff(rig.location, rig.mirror)
    expect(partial).to.deep.include({exitCode: 75, verdict: 'partial'})
    expect(partial.identity).to.include({sameStore: true})
    expect(partial.entries!.map(({kind, tag}) => [kind, tag])).to.deep.equal([['only-right', packfile]])
    expect(partial.counts).to.include({differs: 0, onlyLeft: 0, onlyRight: 1})

    rig.editBlob(rig.layerOf(other!), (bytes) => flipBit(bytes, 8 * 100))
    expect((await diff(rig.location, rig.mirror)).exitCode).to.equal(75)
    const deep = await cli(['diff', rig.location, rig.mirror, '--deep'])
    expect([deep.status, /^different$/m.test(deep.stdout)], deep.stdout).to.deep.equal([65, true])
    expect(deep.stdout).to.match(new RegExp(`^differs .*${other}`, 'm'))
    expect(deep.stdout).to.match(new RegExp(`^only-right +${packfile}$`, 'm'))
  })

  it('tells another store, and one that is not there', async () => {
    const rig = new RepairRig('plaintext')
    const foreign = await diff(rig.location, new RepairRig('encrypted').mirror)
    expect([foreign.exitCode, foreign.identity!.sameStore]).to.deep.equal([65, false])
    expect((await diff(rig.location, `${rig.location}-none`)).exitCode).to.equal(66)
  })
})
