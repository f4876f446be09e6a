import {expect} from 'chai'

import {ByteList} from '../../../src/util/byte-list.js'

const MIB = 1024 * 1024

function add(list: ByteList, bytes: Buffer): void {
  const {at, memory} = list.extend(bytes.length)
  bytes.copy(memory, at)
}

describe('a list of bytes', () => {
  it('has what was added, however much it is', () => {
    const list = new ByteList()
    const piece = Buffer.alloc(300_007)
    for (let number = 0; number < 80; number++) add(list, piece.fill(number))
    expect(list.length).to.equal(80 * piece.length)
    for (let number = 0; number < 80; number++) {
      const at = number * piece.length
      expect(list.bytes.subarray(at, at + piece.length).equals(piece.fill(number)), `${number}`).to.equal(true)
    }
  })

  it('takes one piece larger than all that it has', () => {
    const list = new ByteList()
    add(list, Buffer.from('ab'))
    add(list, Buffer.alloc(40 * MIB, 'c'))
    expect(list.length).to.equal(40 * MIB + 2)
    expect(list.bytes.toString('latin1', 0, 4)).to.equal('abcc')
    expect(list.bytes.at(-1)).to.equal(0x63)
  })

  it('begins anew in the same memory, unless that is large', () => {
    const list = new ByteList()
    add(list, Buffer.from('first'))
    const {buffer} = list.bytes
    list.clear()
    expect(list.length).to.equal(0)
    add(list, Buffer.from('2nd'))
    expect(list.bytes.toString()).to.equal('2nd')
    expect(list.bytes.buffer).to.equal(buffer)
    add(list, Buffer.alloc(9 * MIB))
    const large = list.bytes.buffer
    list.clear()
    add(list, Buffer.alloc(9 * MIB))
    expect(list.bytes.buffer).to.not.equal(large)
  })

  it('is copied into memory of exact size', () => {
    const list = new ByteList()
    add(list, Buffer.from('abc'))
    const copy = list.copy()
    expect([copy.byteLength, copy.buffer.byteLength]).to.deep.equal([3, 3])
    list.bytes.fill(0)
    expect(Buffer.from(copy).toString()).to.equal('abc')
  })
})
