import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {Readable} from 'node:stream'
import {buffer} from 'node:stream/consumers'

import {checkedChunks, checkedSource} from '../../../../src/registry/remote/checked-source.js'
import {bufferSource, type ContentSource} from '../../../../src/util/content-source.js'
import {failureOf} from '../../../helpers/failure.js'
import {blobOf, listed, lyingSource} from '../../../helpers/registry-objects.js'

const BYTES = randomBytes(10_000)

function inPieces(bytes: Buffer, size: number): ContentSource {
  const pieces = Array.from({length: Math.ceil(bytes.length / size)}, (_, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  )
  return {open: () => Readable.from(pieces, {objectMode: false}), size: bytes.length}
}

/** What reaches the reader before the stream fails. */
async function readUntilFailure(stream: Readable): Promise<{code: string; length: number}> {
  let length = 0
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) length += chunk.length
  } catch (error) {
    return {code: (error as {code: string}).code, length}
  }

  return {code: 'none', length}
}

describe('sources that are checked while they are sent', () => {
  for (const size of [1, 7, 4096, 10_000]) {
    it(`pass good bytes on, in pieces of ${size}, as often as they are opened`, async () => {
      const source = checkedSource(inPieces(BYTES, size), blobOf(BYTES))
      for (let round = 0; round < 2; round++) expect((await buffer(source.open())).equals(BYTES)).to.equal(true)
    })
  }

  it('pass no bytes on as no bytes', async () => {
    const none = Buffer.alloc(0)
    expect(await buffer(checkedSource(bufferSource(none), blobOf(none)).open())).to.have.length(0)
    expect(await listed(checkedChunks(bufferSource(none), blobOf(none), 10))).to.deep.equal([])
  })

  const other = Buffer.from(BYTES)
  other[9999] = 255 - other[9999]!
  const liars: Readonly<Record<string, ContentSource>> = {
    'one bit differs': inPieces(other, 1000),
    'they are something else at once': inPieces(other, 10_000),
    'they end early': lyingSource(10_000, BYTES.subarray(0, 9999)),
    'they go on': lyingSource(10_000, BYTES.subarray(0, 5000), BYTES.subarray(5000), Buffer.from('x')),
  }
  for (const [name, source] of Object.entries(liars)) {
    it(`never give away all of them when ${name}`, async () => {
      const {code, length} = await readUntilFailure(checkedSource(source, blobOf(BYTES)).open())
      expect(code).to.equal('INTEGRITY')
      expect(length).to.be.below(10_000)
      let sent = 0
      const chunks = async () => {
        for await (const {bytes} of checkedChunks(source, blobOf(BYTES), 3000)) sent += bytes.length
      }

      expect((await failureOf(chunks())).code).to.equal('INTEGRITY')
      expect(sent).to.be.below(10_000)
    })
  }

  for (const [piece, size] of [
    [1000, 3000],
    [7, 3000],
    [10_000, 3000],
    [10_000, 10_000],
    [10_000, 1],
    [3000, 2500],
  ] as const) {
    it(`are cut into chunks of ${size} from pieces of ${piece}`, async () => {
      const chunks = await listed(checkedChunks(inPieces(BYTES, piece), blobOf(BYTES), size))
      expect(Buffer.concat(chunks.map(({bytes}) => bytes)).equals(BYTES)).to.equal(true)
      expect(chunks.map(({offset}) => offset)).to.deep.equal(chunks.map((_, index) => index * size))
      expect(chunks.slice(0, -1).every(({bytes}) => bytes.length === size)).to.equal(true)
      expect(chunks.at(-1)!.bytes.length).to.be.within(1, size)
    })
  }

  it('name a source that cannot be read', async () => {
    const broken: ContentSource = {
      open: () =>
        new Readable({
          read() {
            this.destroy(new Error('EIO: i/o error'))
          },
        }),
      size: 10_000,
    }
    expect((await failureOf(listed(checkedChunks(broken, blobOf(BYTES), 3000)))).code).to.equal('IO')
  })
})
