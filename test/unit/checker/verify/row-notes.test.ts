import {expect} from 'chai'

import {RowNotes, RowSet} from '../../../../src/checker/verify/row-notes.js'
import {seeded} from '../../../helpers/random.js'

describe('what is noted of rows', () => {
  it('is whether a row was met', () => {
    const from = seeded(41)
    const rows = new RowSet(1003)
    const met = new Set<number>()
    for (let number = 0; number < 3000; number++) {
      const row = from.below(1003)
      expect(rows.add(row)).to.equal(!met.has(row))
      met.add(row)
    }
  })

  it('is a set of numbers, which other rows may have too and do not change', () => {
    const from = seeded(42)
    const notes = new RowNotes()
    const wanted = new Map<number, Set<number>>()
    for (let number = 0; number < 20_000; number++) {
      // Some rows get many numbers, most a few.
      const row = from.below(4) === 0 ? from.below(5) : from.below(300_000)
      const note = from.below(40)
      notes.add(row, note)
      wanted.set(row, (wanted.get(row) ?? new Set()).add(note))
    }

    for (const [row, numbers] of wanted) expect([...notes.get(row)]).to.deep.equal([...numbers])
    expect(notes.get(1_000_000_000).size).to.equal(0)
  })
})
