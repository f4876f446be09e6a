import {expect} from 'chai'
import {Readable} from 'node:stream'
import {buffer} from 'node:stream/consumers'

import {bufferSource, HELD_BYTES, readableOf, readableOfAll, takeHeld} from '../../../src/util/content-source.js'

const BYTES = Buffer.from('some bytes')

describe('bytes that are held', () => {
  it('are taken from their stream at once, and only once', async () => {
    const stream = readableOf(BYTES)
    expect(takeHeld(stream)).to.equal(BYTES)
    expect(takeHeld(stream)).to.equal(undefined)
    expect((await buffer(stream)).length).to.equal(0)
  })

  it('are taken of a source, and of a part of it', () => {
    expect(takeHeld(bufferSource(BYTES).open())).to.deep.equal(BYTES)
    expect(takeHeld(bufferSource(BYTES).open({length: 5, offset: 5}))?.toString()).to.equal('bytes')
    expect(takeHeld(bufferSource(Buffer.alloc(0)).open())).to.have.length(0)
  })

  it('are not taken of a stream that is being read, was given up, or is another one', async () => {
    const begun = readableOf(BYTES)
    begun.read(1)
    expect(takeHeld(begun)).to.equal(undefined)
    const destroyed = readableOf(BYTES)
    destroyed.destroy()
    expect(takeHeld(destroyed)).to.equal(undefined)
    expect(takeHeld(Readable.from([BYTES]))).to.equal(undefined)
    expect((await buffer(begun)).toString()).to.equal('ome bytes')
  })

  it('are not taken where they are many, or in pieces', async () => {
    const most = Buffer.alloc(HELD_BYTES, 1)
    expect(takeHeld(readableOf(most))).to.equal(most)
    const more = readableOf(Buffer.alloc(HELD_BYTES + 1, 1))
    expect(takeHeld(more)).to.equal(undefined)
    expect((await buffer(more)).length).to.equal(HELD_BYTES + 1)
    const pieces = readableOfAll([BYTES, BYTES])
    expect(takeHeld(pieces)).to.equal(undefined)
    expect((await buffer(pieces)).length).to.equal(2 * BYTES.length)
  })
})
