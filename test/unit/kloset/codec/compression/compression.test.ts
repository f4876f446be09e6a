import {expect} from 'chai'
import {createHash} from 'node:crypto'

import {StoreFormatError, VersionError} from '../../../../../src/errors.js'
import {type Compression, COMPRESSIONS, createCompression} from '../../../../../src/kloset/codec/compression/index.js'
import * as go from './go-frames.js'

const LIMIT = 32 * 1024 * 1024

/** Bytes that no compressor makes smaller, the same ones every time. */
function noise(length: number): Buffer {
  const parts: Buffer[] = []
  for (let index = 0; index * 32 < length; index++) parts.push(createHash('sha256').update(`noise ${index}`).digest())
  return Buffer.concat(parts).subarray(0, length)
}

function contents(): Map<string, Buffer> {
  const text = Buffer.from(go.TEXT)
  return new Map([
    ['a run', Buffer.alloc(300_000, 'r')],
    ['a text', text],
    ['matches just within the window', Buffer.concat([noise(65_535), noise(65_535)])],
    ['more than a block', Buffer.concat([noise(4 * 1024 * 1024 - 5), text, text])],
    ['noise', noise(100_000)],
    ['noise between runs', Buffer.concat([Buffer.alloc(70_000), noise(70_000), Buffer.alloc(70_000, 1), text])],
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from('x')],
    ['repeats just beyond the window', Buffer.concat([noise(65_537), noise(65_537)])],
    ['thirteen bytes', Buffer.from('aaaaaaaaaaaaa')],
    ['twelve bytes', Buffer.from('abcabcabcabc')],
  ])
}

async function* slices(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function inflate(compression: Compression, source: AsyncIterable<Uint8Array>, limit = LIMIT): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of compression.inflate(source, limit)) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

for (const algorithm of COMPRESSIONS) {
  describe(`compression ${algorithm}`, function () {
    let compression: Compression

    before(async function () {
      compression = await createCompression(algorithm)
    })

    for (const [name, bytes] of contents()) {
      it(`gives ${name} back`, async function () {
        const compressed = compression.compress(bytes)
        expect(compression.decompress(compressed, LIMIT).equals(bytes)).to.equal(true)
        expect((await inflate(compression, slices(compressed, 1000))).equals(bytes)).to.equal(true)
      })
    }

    it('gives the same for slices of any size', async function () {
      const text = Buffer.from(go.TEXT)
      const compressed = compression.compress(text)
      for (const size of [1, 2, 3, 5, 7, 11, 64]) {
        expect((await inflate(compression, slices(compressed, size))).equals(text), `${size} bytes`).to.equal(true)
      }
    })

    it('stops at the limit, and not before', async function () {
      const bytes = Buffer.alloc(1_000_000, 'z')
      const compressed = compression.compress(bytes)
      expect(compression.decompress(compressed, bytes.length).equals(bytes)).to.equal(true)
      expect(() => compression.decompress(compressed, bytes.length - 1)).to.throw(StoreFormatError, 'more than 999999')
      let failure: unknown
      await inflate(compression, slices(compressed, 1000), bytes.length - 1).catch((error: unknown) => {
        failure = error
      })
      expect(failure).to.be.instanceOf(StoreFormatError)
    })

    it('refuses what ends early, at every length', async function () {
      const compressed = compression.compress(Buffer.from(go.TEXT))
      for (let length = 1; length < compressed.length; length++) {
        const part = compressed.subarray(0, length)
        expect(() => compression.decompress(part, LIMIT), `${length} bytes`).to.throw(StoreFormatError)
      }

      let failure: unknown
      await inflate(compression, slices(compressed.subarray(0, -1), 50)).catch((error: unknown) => {
        failure = error
      })
      expect(failure).to.be.instanceOf(StoreFormatError)
    })

    it('passes on what the source throws', async function () {
      const gone = new Error('connection gone')
      const source = (async function* () {
        yield compression.compress(Buffer.from(go.TEXT)).subarray(0, 20)
        throw gone
      })()
      let failure: unknown
      await inflate(compression, source).catch((error: unknown) => {
        failure = error
      })
      expect(failure).to.equal(gone)
    })
  })
}

describe('compression', function () {
  const frames: ReadonlyArray<readonly [string, Buffer, string]> = [
    ['LZ4', go.LZ4, 'as kloset writes it'],
    ['LZ4', go.LZ4_BLOCK_CHECKSUMS, 'with block checksums'],
    ['LZ4', go.LZ4_NO_CHECKSUM, 'without a content checksum'],
    ['LZ4', go.LZ4_SIZED_64K, 'with a content size and blocks of 64 KiB'],
    ['GZIP', go.GZIP, 'as kloset writes it'],
    ['ZSTD', go.ZSTD, 'as kloset writes it'],
    ['ZSTD', go.ZSTD_FLUSHED, 'of several blocks'],
  ]
  for (const [algorithm, frame, name] of frames) {
    it(`reads ${algorithm} ${name}`, async function () {
      const compression = await createCompression(algorithm)
      expect(compression.decompress(frame, LIMIT).toString()).to.equal(go.TEXT)
      expect((await inflate(compression, slices(frame, 9))).toString()).to.equal(go.TEXT)
    })
  }

  for (const [algorithm, frame, name] of frames) {
    // GZIP's header has bytes that say nothing of the content (time, operating system); these frames have no checksum.
    if (algorithm === 'GZIP' || frame === go.LZ4_NO_CHECKSUM || frame === go.ZSTD_FLUSHED) continue
    it(`finds every flipped bit of ${algorithm} ${name}`, async function () {
      const compression = await createCompression(algorithm)
      for (let bit = 0; bit < frame.length * 8; bit++) {
        const damaged = Buffer.from(frame)
        damaged.writeUInt8(damaged[bit >> 3]! ^ (1 << (bit & 7)), bit >> 3) // eslint-disable-line no-bitwise
        let result: Buffer | undefined
        try {
          result = compression.decompress(damaged, LIMIT)
        } catch (error) {
          expect(error, `bit ${bit}`).to.be.instanceOf(Error)
          expect(['STORE_FORMAT', 'VERSION']).to.include((error as StoreFormatError).code)
        }

        // A flag may change without the content: a larger class of block, a window that nothing reaches into.
        if (result) expect(result.toString(), `bit ${bit}`).to.equal(go.TEXT)
      }
    })
  }

  it('refuses an algorithm that it does not know', async function () {
    let failure: unknown
    await createCompression('BROTLI').catch((error: unknown) => {
      failure = error
    })
    expect(failure).to.be.instanceOf(VersionError)
  })
})
