import {expect} from 'chai'

import {BufferShelf} from '../../../../src/checker/verify/buffer-shelf.js'

const MIB = 1024 * 1024

const of = (bytes: Buffer) => bytes.buffer as ArrayBuffer

describe('memory for packfiles', () => {
  it('is used again for packfiles of any size that it has room for', () => {
    const shelf = new BufferShelf()
    const first = shelf.take(9 * MIB)
    expect(first.length).to.equal(9 * MIB)
    shelf.give(of(first), first.length)
    const second = shelf.take(15 * MIB)
    expect(of(second)).to.equal(of(first))
    expect([second.byteOffset, second.length]).to.deep.equal([0, 15 * MIB])
    shelf.give(of(second), second.length)
    expect(of(shelf.take(40 * MIB))).to.not.equal(of(first))
  })

  it('is not kept for a packfile that is much smaller', () => {
    const shelf = new BufferShelf()
    const large = shelf.take(30 * MIB)
    shelf.give(of(large), large.length)
    expect(of(shelf.take(MIB))).to.not.equal(of(large))
    expect(of(shelf.take(25 * MIB))).to.equal(of(large))
  })

  it('is let go of where more would be free than in use', () => {
    const shelf = new BufferShelf()
    const taken = Array.from({length: 4}, () => shelf.take(16 * MIB))
    for (const bytes of taken) shelf.give(of(bytes), bytes.length)
    const again = new Set(taken.map(() => of(shelf.take(16 * MIB))))
    // 48 were in use beside the first, 32 beside the second; 32 are free in any case.
    expect(taken.filter((bytes) => again.has(of(bytes)))).to.have.length(2)
  })
})
