import {expect} from 'chai'

import {decodeLock, encodeLock, isStale, lockAge} from '../../../src/kloset/lock.js'
import {makeVersion} from '../../../src/kloset/version.js'
import {failureIn} from '../../helpers/failure.js'

const LOCK = {
  exclusive: true,
  hostname: 'backup-1.example',
  timestamp: {nanoseconds: 5_000_000, seconds: 1000},
  version: makeVersion(1, 0, 0),
}

describe('lock', () => {
  it('has the bytes that kloset gives it', () => {
    const bytes = encodeLock({...LOCK, hostname: 'h'})
    expect(bytes.toString('hex')).to.equal(
      '84a776657273696f6ece00010000' +
        'a974696d657374616d70d7ff01312d00000003e8' +
        'a8686f73746e616d65a168' +
        'a96578636c7573697665c3',
    )
    expect(decodeLock(bytes, 'x')).to.deep.equal({...LOCK, hostname: 'h'})
  })

  it('is stale from ten minutes on, not a moment earlier', () => {
    const then = 1_000_005
    expect(lockAge(LOCK, then + 1)).to.equal(1)
    expect(isStale(LOCK, then + 10 * 60_000 - 1)).to.equal(false)
    expect(isStale(LOCK, then + 10 * 60_000)).to.equal(true)
    expect(isStale(LOCK, then - 1)).to.equal(false)
  })

  it('refuses what is no lock', () => {
    const good = encodeLock(LOCK)
    expect(failureIn(() => decodeLock(good.subarray(0, -1), 'x')).code).to.equal('STORE_FORMAT')
    expect(failureIn(() => decodeLock(Buffer.concat([good, good]), 'x')).code).to.equal('STORE_FORMAT')
    expect(failureIn(() => decodeLock(Buffer.from('c0', 'hex'), 'x')).code).to.equal('STORE_FORMAT')
    expect(failureIn(() => decodeLock(Buffer.alloc(65_537), 'x')).code).to.equal('STORE_FORMAT')
    const newer = Buffer.from(good)
    newer[newer.indexOf('ce00010000', 0, 'hex') + 2] = 2
    expect(failureIn(() => decodeLock(newer, 'x')).code).to.equal('VERSION')
    expect(failureIn(() => encodeLock({...LOCK, version: 7})).code).to.equal('VERSION')
  })
})
