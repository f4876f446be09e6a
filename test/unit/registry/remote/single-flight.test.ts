import {expect} from 'chai'

import {IntegrityError, InterruptedError, ProtocolError} from '../../../../src/errors.js'
import {SingleFlight} from '../../../../src/registry/remote/single-flight.js'
import {failureOf} from '../../../helpers/failure.js'

/** An operation that ends when it is told to. */
function gate<T>() {
  let settle: {reject: (error: Error) => void; resolve: (value: T) => void}
  const promise = new Promise<T>((resolve, reject) => {
    settle = {reject, resolve}
  })
  return {...settle!, promise, started: 0}
}

describe('single flight', () => {
  it('runs once for all that ask meanwhile, and again for those that ask later', async () => {
    const flight = new SingleFlight<number>()
    const first = gate<number>()
    let runs = 0
    const operation = async () => {
      runs += 1
      return first.promise
    }

    const all = [1, 2, 3].map(async () => flight.run('key', operation))
    const other = flight.run('other', async () => 7)
    first.resolve(42)
    expect(await Promise.all(all)).to.deep.equal([
      {led: true, value: 42},
      {led: false, value: 42},
      {led: false, value: 42},
    ])
    expect((await other).value).to.equal(7)
    expect(runs).to.equal(1)
    expect(await flight.run('key', async () => 43)).to.deep.equal({led: true, value: 43})
  })

  it("shares a failure that would be everybody's", async () => {
    const flight = new SingleFlight<number>()
    const first = gate<number>()
    const leader = flight.run('key', async () => first.promise)
    const follower = flight.run('key', async () => 2)
    first.reject(new ProtocolError('broken'))
    expect((await failureOf(leader)).code).to.equal('PROTOCOL')
    expect((await failureOf(follower)).code).to.equal('PROTOCOL')
  })

  for (const error of [new InterruptedError(), new IntegrityError('bad source')]) {
    it(`does not share ${error.code}, which is the leader's own`, async () => {
      const flight = new SingleFlight<number>()
      const first = gate<number>()
      const leader = flight.run('key', async () => first.promise)
      const follower = flight.run('key', async () => 2)
      first.reject(error)
      expect((await failureOf(leader)).code).to.equal(error.code)
      expect(await follower).to.deep.equal({led: true, value: 2})
    })
  }

  it('lets one who waits go, and the others wait on', async () => {
    const flight = new SingleFlight<number>()
    const first = gate<number>()
    const leader = flight.run('key', async () => first.promise)
    const controller = new AbortController()
    const impatient = flight.run('key', async () => 2, controller.signal)
    const patient = flight.run('key', async () => 3)
    controller.abort()
    expect((await failureOf(impatient)).code).to.equal('INTERRUPTED')
    first.resolve(1)
    expect((await leader).value).to.equal(1)
    expect(await patient).to.deep.equal({led: false, value: 1})
  })
})
