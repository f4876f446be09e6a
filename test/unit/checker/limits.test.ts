import {expect} from 'chai'

import {checkLimits} from '../../../src/checker/limits.js'
import {Tally} from '../../../src/checker/summary.js'
import {MAX_LISTED} from '../../../src/kloset/list-limit.js'
import {encodeList} from '../../../src/plugin/messages.js'
import {MAX_MESSAGE_BYTES} from '../../../src/plugin/rpc/message-reader.js'
import {testMac} from '../../helpers/macs.js'

/** What is found of a store with so many packfiles and states. */
function found(packfiles: number, states = 1, stateBytes = 0): string[] {
  const {bytes, objects} = new Tally('memory')
  objects.packfile = packfiles
  objects.state = states
  bytes.state = stateBytes
  return [...checkLimits({bytes, objects})].map(({kind, message, severity}) => `${severity} ${kind} ${message}`)
}

describe('limits that a store comes near', () => {
  it('is what one message holds for plakar', () => {
    const {length} = encodeList([testMac(1)])
    expect(MAX_LISTED * length).to.be.at.most(MAX_MESSAGE_BYTES)
    expect((MAX_LISTED + 1) * length).to.be.greaterThan(MAX_MESSAGE_BYTES)
  })

  it('says nothing before four fifths of it', () => {
    expect(found(98_688)).to.deep.equal([])
  })

  it('warns from there on, and says when it is too late', () => {
    expect(found(98_689)).to.deep.equal([
      'warning list-limit 98689 packfiles: plakar takes a list of 123361 from a plugin (4 MiB), beyond that it cannot open the store',
    ])
    expect(found(123_361)[0]).to.contain('beyond that it cannot open the store')
    expect(found(123_362)[0]).to.contain('123362 packfiles').and.to.contain('it cannot open this store any more')
  })

  it('tells of many states, and of too many', () => {
    expect(found(0, 999)).to.deep.equal([])
    expect(found(0, 1021, 3 * 1024 ** 3)).to.deep.equal([
      'info many-states 1021 states, 3072 MiB: plakar reads them all where it opens the store for the first time',
    ])
    expect(found(0, 100_000).map((text) => text.split(' ', 2)[1])).to.deep.equal(['list-limit', 'many-states'])
  })
})
