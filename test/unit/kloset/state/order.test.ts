import {expect} from 'chai'

import type {Mac} from '../../../../src/kloset/mac.js'

import {NIL_MAC, orderStates} from '../../../../src/kloset/state.js'

const mac = (digit: string) => digit.repeat(64) as Mac
const name = (index: number) => index.toString(16).padStart(64, '0') as Mac
const short = (macs: readonly Mac[]) => macs.map((one) => one[0]).join('')

function order(...parents: ReadonlyArray<readonly [string, string | undefined]>) {
  const {cyclic, ordered, orphaned} = orderStates(
    new Map(parents.map(([state, parent]) => [mac(state), parent === undefined ? undefined : mac(parent)])),
  )
  return {cyclic: short(cyclic), ordered: short(ordered), orphaned: short(orphaned)}
}

describe('order of states', function () {
  it('puts every state after the one that it follows', function () {
    expect(order(['c', 'b'], ['b', 'a'], ['a', '0'], ['d', 'a'])).to.deep.equal({
      cyclic: '',
      ordered: 'adbc',
      orphaned: '',
    })
  })

  it('begins anew with states whose parent has gone or never was', function () {
    expect(order(['c', 'b'], ['e', undefined])).to.deep.equal({cyclic: '', ordered: 'ce', orphaned: 'c'})
  })

  it('names states that follow one another in a ring, and what hangs on them', function () {
    expect(order(['a', 'b'], ['b', 'a'], ['c', 'b'], ['d', 'd'], ['e', '0'])).to.deep.equal({
      cyclic: 'abcd',
      ordered: 'e',
      orphaned: '',
    })
  })

  it('takes a hundred thousand states in a row, and as many side by side', function () {
    const count = 100_000
    const row = new Map(Array.from({length: count}, (_, index) => [name(index + 1), name(index)]))
    expect(orderStates(row).ordered.length).to.equal(count)
    const flat = new Map(Array.from({length: count}, (_, index) => [name(index + 2), name(1)]))
    flat.set(name(1), NIL_MAC)
    expect(orderStates(flat).ordered[0]).to.equal(name(1))
  })
})
