import {expect} from 'chai'
import {PassThrough, Readable} from 'node:stream'

import {CountedBody} from '../../../../src/registry/transport/counted-body.js'

const LONG = 1024 * 1024

/** A request that notes what it is asked to write, in order. */
class Noted extends PassThrough {
  readonly writes: string[] = []

  constructor() {
    super()
    this.on('data', (chunk: Buffer) => this.writes.push(`${chunk.length}`))
  }

  flushHeaders(): void {
    this.writes.push('head')
  }
}

async function writesOf(size: number): Promise<string[]> {
  const request = new Noted()
  new CountedBody(Readable.from([Buffer.alloc(size)]), size).pipe(request)
  await new Promise((resolve) => {
    request.once('end', resolve)
  })
  return request.writes
}

describe('the body of a request', () => {
  it('lets the head of a long one go before it, and that of a short one with it', async () => {
    expect(await writesOf(LONG)).to.deep.equal(['head', `${LONG}`])
    expect(await writesOf(LONG - 1)).to.deep.equal([`${LONG - 1}`])
  })

  it('is given up in between without a word of its own', async () => {
    const request = new Noted()
    const body = new CountedBody(Readable.from([Buffer.alloc(LONG)]), LONG)
    body.pipe(request)
    const failure = new Error('given up')
    const told = new Promise((resolve) => {
      body.once('error', resolve)
    })
    body.destroy(failure)
    expect(await told).to.equal(failure)
    expect(request.writes).to.deep.equal(['head'])
  })
})
