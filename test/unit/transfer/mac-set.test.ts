import {expect} from 'chai'

import {type Mac, macFromBytes} from '../../../src/kloset/mac.js'
import {MacSet, mergeMacs} from '../../../src/transfer/mac-set.js'
import {testMac} from '../../helpers/macs.js'
import {seeded} from '../../helpers/random.js'

function setOf(macs: Iterable<Mac>): MacSet {
  const set = new MacSet()
  for (const mac of macs) set.add(mac)
  return set
}

describe('a set of MACs', () => {
  it('walks any number of them in their order, each once', () => {
    const random = seeded(6)
    const macs = Array.from({length: 3000}, () => macFromBytes(random.bytes(32)))
    const set = setOf([...macs, ...macs.slice(0, 500)])
    expect(set.size).to.equal(3000)
    expect([...set]).to.deep.equal([...macs].sort())
    for (const mac of macs.slice(0, 200)) expect(set.has(mac)).to.equal(true)
    expect(set.has(testMac(1))).to.equal(false)
  })

  it('takes more after it was asked', () => {
    const set = setOf([testMac(5)])
    expect(set.has(testMac(2))).to.equal(false)
    set.add(testMac(2))
    expect(set.has(testMac(2))).to.equal(true)
    expect([...set]).to.deep.equal([testMac(2), testMac(5)])
  })

  it('is empty at first', () => {
    const set = new MacSet()
    expect([...set]).to.deep.equal([])
    expect(set.has(testMac(0))).to.equal(false)
  })

  it('says of two on which side each MAC is', () => {
    const left = setOf([1, 3, 4, 9].map((number) => testMac(number)))
    const right = setOf([2, 3, 9, 10].map((number) => testMac(number)))
    const sides = [...mergeMacs(left, right)].map(([mac, side]) => [Number.parseInt(mac.slice(0, 8), 16), side])
    expect(sides).to.deep.equal([
      [1, 'left'],
      [2, 'right'],
      [3, 'both'],
      [4, 'left'],
      [9, 'both'],
      [10, 'right'],
    ])
  })
})
