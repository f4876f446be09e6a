import {expect} from 'chai'
import {createXXHash32, type IHasher} from 'hash-wasm'

import type {Compression} from '../../../../../src/kloset/codec/compression/index.js'

import {KlosetOciError, StoreFormatError, VersionError} from '../../../../../src/errors.js'
import {decodeBlock, encodeBlock} from '../../../../../src/kloset/codec/compression/lz4-block.js'
import {decodeNatively, nativeLz4} from '../../../../../src/kloset/codec/compression/lz4-native.js'
import {createLz4} from '../../../../../src/kloset/codec/compression/lz4.js'
import {seeded} from '../../../../helpers/random.js'
import {TEXT} from './go-frames.js'

const LIMIT = 8 * 1024 * 1024

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** Decodes into a buffer with room to spare, as the frame reader does. */
function decoded(block: Buffer, size: number): Buffer {
  const out = Buffer.alloc(size)
  return out.subarray(0, decodeBlock(block, out, 0, 0))
}

describe('LZ4', function () {
  let checksum: IHasher
  let lz4: Compression

  const sum = (bytes: Uint8Array) => {
    checksum.init()
    checksum.update(bytes)
    return Buffer.from(checksum.digest('binary')).readUInt32BE()
  }

  /** A frame of the given blocks, each with its own length word. */
  function frameOf(flags: number, blocks: readonly Buffer[], content: Buffer): Buffer {
    const descriptor = Buffer.from([flags, 0x40])
    const parts = [word(0x18_4d_22_04), descriptor, Buffer.from([Math.floor(sum(descriptor) / 256) % 256])]
    for (const block of blocks) parts.push(word(block.length), block)
    return Buffer.concat([...parts, word(0), word(sum(content))])
  }

  before(async function () {
    checksum = await createXXHash32(0)
    lz4 = await createLz4()
  })

  it('reads linked blocks, which reach back across their beginning', function () {
    const first = Buffer.from('0123456789abcdef0123456789ABCDEF')
    // A block of literals; then 20 bytes from 32 back and from 5 back within themselves, then five literals.
    const literals = Buffer.concat([Buffer.from([0xf0, first.length - 15]), first])
    const linked = Buffer.concat([Buffer.from([0x0f, 32, 0, 1]), Buffer.from([0x50]), Buffer.from('vwxyz')])
    const content = Buffer.concat([first, first.subarray(0, 20), Buffer.from('vwxyz')])
    expect(lz4.decompress(frameOf(0x44, [literals, linked], content), LIMIT).toString()).to.equal(content.toString())
    // The same frame, said to be of independent blocks, has a match that reaches nowhere.
    expect(() => lz4.decompress(frameOf(0x64, [literals, linked], content), LIMIT)).to.throw(StoreFormatError)
  })

  it('keeps a window of 64 KiB behind linked blocks of any size', function () {
    const random = seeded(7)
    const blocks: Buffer[] = []
    const contents: Buffer[] = []
    let size = 0
    for (let index = 0; index < 60; index++) {
      const literals = random.bytes(1 + random.below(4000))
      const offset = Math.min(65_535, size + literals.length)
      const head = literals.length < 15 ? [literals.length * 16] : lengthOf(literals.length)
      blocks.push(Buffer.concat([Buffer.from(head), literals, Buffer.from([offset % 256, Math.floor(offset / 256)])]))
      // A match of four bytes ends the block: what encoders do not write and decoders take.
      const soFar = Buffer.concat([...contents, literals])
      const start = soFar.length - offset
      contents.push(literals, Buffer.from([0, 1, 2, 3].map((step) => soFar[start + step] ?? literals[0]!)))
      size = soFar.length + 4
    }

    const content = Buffer.concat(contents)
    expect(content.length).to.be.greaterThan(100_000)
    expect(lz4.decompress(frameOf(0x44, blocks, content), LIMIT).equals(content)).to.equal(true)
  })

  it('reads frames one after another and skips what is to be skipped', function () {
    const one = lz4.compress(Buffer.from('one '))
    const two = lz4.compress(Buffer.from('two'))
    const skipped = Buffer.concat([word(0x18_4d_2a_53), word(5), Buffer.from('skip!')])
    expect(lz4.decompress(Buffer.concat([one, skipped, two]), LIMIT).toString()).to.equal('one two')
    expect(() => lz4.decompress(Buffer.concat([one, Buffer.from('trailing bytes')]), LIMIT)).to.throw(StoreFormatError)
  })

  it('refuses dictionaries and versions that it does not know', function () {
    const content = Buffer.from('content')
    for (const flags of [0x84, 0x24, 0x66]) {
      expect(() => lz4.decompress(frameOf(flags, [], content), LIMIT), flags.toString(16)).to.throw(VersionError)
    }

    const descriptor = Buffer.from([0x65, 0x40, 1, 0, 0, 0])
    const head = Buffer.from([Math.floor(sum(descriptor) / 256) % 256])
    expect(() => lz4.decompress(Buffer.concat([word(0x18_4d_22_04), descriptor, head]), LIMIT)).to.throw(VersionError)
  })

  it('does not take memory for what a frame only claims', function () {
    // 200 blocks of 4 MiB by their headers would be 800 MiB; each holds a run of 255 * 4000 bytes.
    const run = Buffer.concat([
      Buffer.from([0x1f, 0x61, 1, 0]),
      Buffer.alloc(4000, 255),
      Buffer.from([0, 0x50]),
      Buffer.from('vwxyz'),
    ])
    const before = process.memoryUsage().external
    expect(() =>
      lz4.decompress(
        frameOf(
          0x64,
          Array.from({length: 200}, () => run),
          run,
        ),
        100_000,
      ),
    ).to.throw(StoreFormatError)
    expect(process.memoryUsage().external - before).to.be.lessThan(32 * 1024 * 1024)
  })

  it('encodes blocks that decode to what they were, or none', function () {
    const random = seeded(3)
    for (let round = 0; round < 300; round++) {
      const alphabet = 1 + random.below(20)
      const bytes = random.bytes(random.below(3000)).map((byte) => byte % alphabet)
      const content = Buffer.from(bytes)
      const block = encodeBlock(content)
      if (!block) continue
      expect(block.length).to.be.lessThan(content.length)
      expect(decoded(block, content.length).equals(content), `round ${round}`).to.equal(true)
      expect(decoded(block, content.length + 20).equals(content), `round ${round}, with room`).to.equal(true)
    }

    expect(encodeBlock(random.bytes(5000))).to.equal(undefined)
    expect(encodeBlock(Buffer.from(TEXT))!.length).to.be.lessThan(TEXT.length / 2)
  })

  it('decodes as the native addon does, and refuses what it refuses', function () {
    if (!nativeLz4()) this.skip()
    const random = seeded(11)
    const text = Buffer.from(TEXT.repeat(20))
    const block = encodeBlock(Buffer.concat([text, random.bytes(3000), text]))!
    let refused = 0
    for (let round = 0; round < 2000; round++) {
      const mutated = Buffer.from(block)
      for (let flips = random.below(4); flips > 0; flips--) mutated[random.below(block.length)] = random.below(256)
      const bound = 60_000
      const own = attempt(() => decoded(mutated, bound))
      const native = attempt(() => decodeNatively(mutated, bound)!)
      if (own === undefined) refused += 1
      expect(own?.toString('base64'), `round ${round}`).to.equal(native?.toString('base64'))
    }

    expect(refused).to.be.greaterThan(100)
  })
})

function attempt(decode: () => Buffer): Buffer | undefined {
  try {
    return decode()
  } catch (error) {
    expect(error).to.be.instanceOf(KlosetOciError)
    return undefined
  }
}

/** A token of literals only, with its length's further bytes. */
function lengthOf(literals: number): number[] {
  const bytes = [0xf0]
  let left = literals - 15
  for (; left >= 255; left -= 255) bytes.push(255)
  return [...bytes, left]
}
