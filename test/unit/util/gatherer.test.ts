import {expect} from 'chai'
import {setImmediate as turn} from 'node:timers/promises'

import {Gatherer} from '../../../src/util/gatherer.js'

/** What the sink got, one text a piece. */
async function gathered(texts: readonly string[], size: number): Promise<string[]> {
  const got: string[] = []
  const gatherer = new Gatherer(async (piece) => {
    await turn()
    got.push(piece.toString())
  }, size)
  for (const text of texts) {
    const piece = Buffer.from(text)
    await gatherer.add(piece)
    // It is the giver's again.
    piece.fill('?')
  }

  await gatherer.flush()
  expect(gatherer.held).to.equal(0)
  await gatherer.flush()
  return got
}

describe('a gatherer', () => {
  it('joins small pieces, and leaves large ones as they are', async () => {
    expect(await gathered(['a', 'bc', 'd', 'efgh', 'ij', 'k'], 8)).to.deep.equal(['abcd', 'efgh', 'ijk'])
    expect(await gathered(['abc', 'def', 'ghi'], 8)).to.deep.equal(['abcdef', 'ghi'])
    expect(await gathered(['abcdefghijkl'], 8)).to.deep.equal(['abcdefghijkl'])
    expect(await gathered([], 8)).to.deep.equal([])
  })

  it('has nothing to wait for while there is room', () => {
    const gatherer = new Gatherer(async () => {}, 8)
    expect(gatherer.add(Buffer.from('abc'))).to.equal(undefined)
    expect(gatherer.held).to.equal(3)
    expect(gatherer.add(Buffer.from('defghi'))).to.be.instanceOf(Promise)
  })

  it('fails as its sink does', async () => {
    const gatherer = new Gatherer(async () => {
      throw new Error('full')
    }, 4)
    const failed = await Promise.resolve(gatherer.add(Buffer.from('abc'))).then(
      () => 'kept',
      (error: Error) => error.message,
    )
    expect(failed).to.equal('full')
  })
})
