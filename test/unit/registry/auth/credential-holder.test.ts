import {expect} from 'chai'

import {CredentialHolder} from '../../../../src/registry/auth/credential-holder.js'
import {TestCredentials} from '../../../helpers/auth-servers.js'
import {failureOf} from '../../../helpers/failure.js'
import {FakeClock} from '../../../helpers/fake-clock.js'

describe('a credential that is held', function () {
  let clock: FakeClock
  let source: TestCredentials
  let holder: CredentialHolder

  beforeEach(function () {
    clock = new FakeClock()
    source = new TestCredentials('me', 'old')
    holder = new CredentialHolder(source, {registry: 'r'}, clock)
  })

  it('is asked for once', async function () {
    const all = await Promise.all([holder.get(), holder.get(), holder.get()])
    expect(new Set(all).size).to.equal(1)
    await holder.get()
    expect(source.asked).to.equal(1)
  })

  it('is asked for once more when many find it refused', async function () {
    const old = await holder.get()
    source.login('me', 'new')
    const all = await Promise.all(Array.from({length: 10}, async () => holder.renewed(old)))
    expect(new Set(all).size).to.equal(1)
    expect(all[0]).to.not.equal(old)
    expect(await holder.renewed(old)).to.equal(all[0])
    expect(source.asked).to.equal(2)
  })

  it('has no other when the source says the same', async function () {
    const old = await holder.get()
    source.login('me', 'old')
    expect(await holder.renewed(old)).to.be.undefined
  })

  it('gets old', async function () {
    expect(holder.isOld()).to.be.false
    const old = await holder.get()
    clock.advance(9 * 60_000)
    expect(holder.isOld()).to.be.false
    clock.advance(60_000)
    expect(holder.isOld()).to.be.true
    await holder.renewed(old)
    expect(holder.isOld()).to.be.false
  })

  it('is asked for again after a failure', async function () {
    const {credentialFor} = source
    source.credentialFor = () => Promise.reject(new Error('locked'))
    expect((await failureOf(holder.get())).message).to.equal('locked')
    source.credentialFor = credentialFor
    expect(await holder.get()).to.exist
  })

  it('reaches the others when one stops waiting', async function () {
    const controller = new AbortController()
    const first = failureOf(holder.get(controller.signal))
    const second = holder.get()
    controller.abort()
    expect((await first).code).to.equal('INTERRUPTED')
    expect(await second).to.exist
  })
})
