import {expect} from 'chai'
import {Readable} from 'node:stream'

import {collect} from '../../../src/util/collect.js'
import {readableOf} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'

const BYTES = Buffer.from('some bytes')

describe('collecting a stream', () => {
  const streams: Readonly<Record<string, () => Readable>> = {
    held: () => readableOf(BYTES),
    read: () => Readable.from([BYTES.subarray(0, 4), BYTES.subarray(4)], {objectMode: false}),
  }
  for (const [how, stream] of Object.entries(streams)) {
    it(`gives all of it up to the limit, ${how}`, async () => {
      expect(await collect(stream(), {limit: BYTES.length, what: 'it'})).to.deep.equal(BYTES)
    })

    it(`is refused beyond the limit, ${how}`, async () => {
      const error = await failureOf(collect(stream(), {limit: BYTES.length - 1, what: () => 'this stream'}))
      expect(error.code).to.equal('PROTOCOL')
      expect(error.message).to.equal('this stream: goes on beyond 9 bytes')
    })
  }

  it('fails with the error of the stream, before and after it has happened', async () => {
    const broken = new Error('broken')
    const stream = new Readable({read() {}})
    stream.push('a')
    const collecting = collect(stream, {limit: 10, what: 'it'}).catch((error: unknown) => error)
    stream.destroy(broken)
    expect(await collecting).to.equal(broken)
    expect(await collect(stream, {limit: 10, what: 'it'}).catch((error: unknown) => error)).to.equal(broken)
  })

  it('fails when the stream is given up before its end', async () => {
    const stream = new Readable({read() {}})
    const collecting = collect(stream, {limit: 10, what: 'it'}).catch((error: unknown) => error)
    stream.destroy()
    expect(await collecting).to.be.an('error')
  })
})
