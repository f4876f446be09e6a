import {expect} from 'chai'

import {KeyTable} from '../../../src/checker/key-table.js'

function key(number: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(number)
  return bytes
}

describe('KeyTable', () => {
  it('is a set: numbered, with flags, whatever the keys', () => {
    const table = new KeyTable(4)
    const count = 5000
    for (let number = 0; number < count; number++) {
      expect(table.add(key(number * 7))).to.deep.equal({index: number, isNew: true})
      table.setFlags(number, number % 200)
    }

    for (let number = 0; number < count; number++) {
      expect(table.add(key(number * 7))).to.deep.equal({index: number, isNew: false})
      expect(table.key(number).equals(key(number * 7))).to.equal(true)
      expect(table.flags(number)).to.equal(number % 200)
      expect(table.has(key(number * 7 + 1))).to.equal(false)
    }

    expect(table.size).to.equal(count)
    expect(table.indexOf(key(14))).to.equal(2)
    expect(table.indexOf(key(15))).to.equal(undefined)
  })
})
