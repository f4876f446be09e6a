import {expect} from 'chai'

import {StateNames} from '../../../src/checker/state-names.js'
import {collectVerify} from '../../../src/checker/verify/index.js'
import {testMac} from '../../helpers/macs.js'
import {LATER, RepairRig} from '../../helpers/repair-rig.js'
import {swapTags} from '../../helpers/store-damages.js'

/** Errors of a check, with the tags that they are about. */
function errorsOf({findings}: Awaited<ReturnType<RepairRig['check']>>): string[] {
  return findings
    .filter(({severity}) => severity === 'error')
    .map(({kind, tag}) => `${kind} ${tag}`)
    .sort()
}

describe('states under the tags of others', function () {
  this.timeout(120_000)

  it('are found by what they say of themselves, two that were swapped', async () => {
    const rig = new RepairRig('plaintext')
    const [one, other] = rig.tagsOf('state').sort() as [string, string]
    swapTags(rig, one, other)
    const expected = [`name-mismatch ${one}`, `name-mismatch ${other}`]
    expect(errorsOf(await rig.check({deep: false}))).to.deep.equal(expected)
    for (const tier of ['mac', 'data'] as const) {
      const {findings} = await rig.withRepository(async (repository) => collectVerify(repository, {clock: LATER, tier}))
      const found = findings.filter(({kind}) => kind === 'name-mismatch')
      expect(found.map(({expected: name, found: holds}) => [name, holds])).to.have.deep.members([
        [one.slice('state-'.length), other.slice('state-'.length)],
        [other.slice('state-'.length), one.slice('state-'.length)],
      ])
    }

    // The bytes are sound: without the key nothing is wrong with them.
    const {summary} = await rig.withRepository(async (repository) =>
      collectVerify(repository, {clock: LATER, tier: 'digest'}),
    )
    expect(summary.verdict).to.equal('clean')
  })

  it('are found where one was written over with another, and made anew', async () => {
    const rig = new RepairRig('plaintext')
    const [kept, over] = rig.tagsOf('state').sort() as [string, string]
    const {digest} = rig.entryOf(over)
    const {digest: keptDigest, size} = rig.entryOf(kept)
    rig.editIndex((entries) =>
      entries.map((entry) => (entry.digest === digest ? {...entry, digest: keptDigest, size} : entry)),
    )
    expect(errorsOf(await rig.check({deep: false}))).to.deep.equal([`name-mismatch ${over}`])
    const plan = await rig.plan()
    expect(plan.steps.map(({tag}) => tag)).to.deep.equal([over])
    expect(await rig.apply()).to.include({failed: 0})
    expect((await rig.verify()).summary.verdict).to.equal('clean')
  })

  it('are not told of where no tag has the name, or there are several', () => {
    const names = new StateNames()
    names.note(testMac(1), testMac(2))
    names.note(testMac(3))
    names.note(testMac(4), testMac(4))
    expect(names.findings(() => false)).to.deep.equal([])
    expect(names.findings(() => true).map(({object}) => object!.mac)).to.deep.equal([testMac(1)])
  })
})
