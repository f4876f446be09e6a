import {expect} from 'chai'
import {statSync, utimesSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {timeOf} from '../../../src/restore/metadata.js'
import {scratchDir} from '../../helpers/hooks.js'

const TIMES = [
  [0, 0],
  [0, 1000],
  [19, 301_112_000],
  [858, 39_146_028],
  [894, 356_422_275],
  [1_000_000, 5000],
  [1_000_000_000, 0],
  [1_000_000_000, 999_999_999],
  [1_764_201_600, 123_456_789],
  [2_209_668_504, 890_318_621],
] as const

describe('times of restored files', () => {
  it('are those of the snapshot to the microsecond, and whole seconds to the nanosecond', () => {
    const path = join(scratchDir('times'), 'file')
    writeFileSync(path, '')
    for (const [seconds, nanoseconds] of TIMES) {
      const time = timeOf({nanoseconds, seconds})
      utimesSync(path, time, time)
      const {mtimeNs} = statSync(path, {bigint: true})
      const expected = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
      expect(mtimeNs / 1000n, `${seconds} ${nanoseconds}`).to.equal(expected / 1000n)
      if (nanoseconds === 0) expect(time).to.equal(seconds)
    }
  })

  it('are never below the microsecond, which older runtimes would cut, and at most two numbers above it', () => {
    for (const [seconds, nanoseconds] of TIMES) {
      const micro = Math.floor(nanoseconds / 1000)
      const fraction = Number(timeOf({nanoseconds, seconds})) - seconds
      expect(Math.floor(fraction * 1_000_000), `${seconds} ${nanoseconds}`).to.equal(micro)
      expect(fraction - micro / 1_000_000).to.be.lessThan(2 * 2 ** -52 * Math.max(1, seconds) + Number.EPSILON)
    }
  })

  it('before 1970 are those of the second', () => {
    expect(timeOf({nanoseconds: 5, seconds: -3})).to.deep.equal(new Date(-3000))
  })
})
