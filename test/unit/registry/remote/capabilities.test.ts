import {expect} from 'chai'

import {Capabilities} from '../../../../src/registry/remote/capabilities.js'

type Answer = readonly ['accepted' | 'declined' | 'refused', boolean]

function learnt(...answers: readonly Answer[]): string {
  const capabilities = new Capabilities({chunkBytes: 1})
  for (const [answer, present] of answers) capabilities.noteMount(answer, present)
  return capabilities.mountTells
}

describe('what mounts tell', () => {
  it('is trusted only when a yes and a no were both true', () => {
    expect(learnt()).to.equal('unknown')
    expect(learnt(['accepted', true])).to.equal('unknown')
    expect(learnt(['declined', false])).to.equal('unknown')
    expect(learnt(['declined', false], ['accepted', true])).to.equal('yes')
    expect(learnt(['accepted', true], ['accepted', true], ['declined', false])).to.equal('yes')
  })

  it('is never trusted after one that was not', () => {
    expect(learnt(['accepted', false])).to.equal('no')
    expect(learnt(['declined', true])).to.equal('no')
    expect(learnt(['refused', false])).to.equal('no')
    expect(learnt(['accepted', false], ['accepted', true], ['declined', false])).to.equal('no')
    expect(learnt(['accepted', true], ['declined', false], ['accepted', false])).to.equal('no')
  })

  it('wants one proof more after an absent blob was declined', () => {
    const capabilities = new Capabilities({chunkBytes: 1})
    expect(capabilities.wantsMountProof).to.equal(false)
    capabilities.noteMount('declined', false)
    expect(capabilities.wantsMountProof).to.equal(true)
    capabilities.noteMount('accepted', true)
    expect(capabilities.wantsMountProof).to.equal(false)
  })
})
