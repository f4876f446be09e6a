import {expect} from 'chai'

import type {Mac} from '../../../src/kloset/mac.js'

import {IntegrityError, InvalidArgumentError, KlosetOciError, StoreFormatError} from '../../../src/errors.js'
import {BLOB_TYPES} from '../../../src/kloset/blob-type.js'
import {Codec} from '../../../src/kloset/codec/codec.js'
import {HEADER_BYTES, sealEnvelope} from '../../../src/kloset/envelope.js'
import {createHasher, type Hasher} from '../../../src/kloset/hashing.js'
import {PackfileWriter} from '../../../src/kloset/packfile-writer.js'
import {
  decodeBlob,
  isNamedByContent,
  macOf,
  type PackfileIndex,
  type PackfileKeys,
  readAtOf,
  readBlob,
  readPackfileIndex,
} from '../../../src/kloset/packfile.js'
import {makeVersion} from '../../../src/kloset/version.js'
import {flipBit} from '../../helpers/damage.js'
import {failureIn, failureOf} from '../../helpers/failure.js'
import {GOLDEN} from '../../helpers/hooks.js'
import {seeded} from '../../helpers/random.js'
import {unlockedGolden} from '../../helpers/unlocked.js'

const TIMESTAMP = {nanoseconds: 5, seconds: 1_700_000_000}

async function indexOf(keys: PackfileKeys, bytes: Buffer, what = 'packfile'): Promise<PackfileIndex> {
  return readPackfileIndex({...keys, readAt: readAtOf(bytes, what), size: bytes.length, what})
}

describe('packfile', function () {
  let hasher: Hasher
  let keys: PackfileKeys

  const seal = (data: Buffer) => {
    hasher.reset()
    return sealEnvelope(data, {hasher, resource: 'packfile', version: makeVersion(1, 0, 0)})
  }

  before(async function () {
    hasher = await createHasher('BLAKE3', Buffer.alloc(32, 7))
    keys = {codec: new Codec(), hasher}
  })

  for (const name of GOLDEN) {
    it(`reads every blob of every packfile of ${name}`, async function () {
      const store = await unlockedGolden(name)
      let blobs = 0
      for (const [tag, bytes] of store.objects) {
        if (!tag.startsWith('packfiles-')) continue
        const index = await indexOf(store, bytes, tag)
        expect(index.length).to.equal(index.footer.count)
        expect(index.footer.timestamp.seconds).to.be.greaterThan(1_700_000_000)
        // The name is the MAC of what lies inside the envelope.
        expect(macOf(store.hasher, bytes.subarray(HEADER_BYTES, -32)).toString('hex')).to.equal(tag.slice(10))
        let offset = 0
        for (const blob of index) {
          blobs += 1
          expect(blob.offset, 'blobs lie one after another').to.equal(offset)
          offset += blob.length
          await readBlob(blob, readAtOf(bytes, tag), {...store, what: tag})
        }

        expect(offset).to.equal(index.footer.indexOffset)
      }

      expect(blobs).to.equal(148)
    })

    it(`finds a flipped bit in any blob of ${name}, and names the blob`, async function () {
      const store = await unlockedGolden(name)
      const random = seeded(4)
      for (const [tag, bytes] of store.objects) {
        if (!tag.startsWith('packfiles-')) continue
        for (const blob of await indexOf(store, bytes, tag)) {
          if (!isNamedByContent(blob.type)) continue
          const stored = bytes.subarray(HEADER_BYTES + blob.offset, HEADER_BYTES + blob.offset + blob.length)
          // What the compression does not check of its own header does not change the content.
          const failure = await attempt(() =>
            decodeBlob(blob, flipBit(stored, random.below(stored.length * 8)), {...store, what: tag}),
          )
          if (!failure) continue
          expect(failure.code).to.be.oneOf(['INTEGRITY', 'STORE_FORMAT', 'VERSION'])
          expect(failure.message).to.contain(blob.mac)
          expect(failure.message).to.contain(tag)
        }
      }
    })

    it(`finds a flipped bit in any index and footer of ${name}`, async function () {
      const store = await unlockedGolden(name)
      const random = seeded(9)
      const [tag, bytes] = [...store.objects].find(([one]) => one.startsWith('packfiles-'))!
      const {footer} = await indexOf(store, bytes, tag)
      const start = HEADER_BYTES + footer.indexOffset
      for (let round = 0; round < 200; round++) {
        const bit = start * 8 + random.below((bytes.length - 32 - start) * 8)
        const failure = await failureOf(
          indexOf(store, flipBit(bytes, bit), tag).then((index) => {
            // Of the footer nothing but its time and flags can change unseen, and only where nothing is encoded.
            expect(name, `bit ${bit}`).to.equal('plaintext-uncompressed')
            expect({...index.footer, flags: 0, timestamp: 0}).to.deep.equal({...footer, flags: 0, timestamp: 0})
            throw new StoreFormatError(tag)
          }),
        )
        expect(failure, `bit ${bit}`).to.be.instanceOf(KlosetOciError)
        expect(failure.message).to.contain(tag)
      }
    })
  }

  it('gives back what it wrote', async function () {
    const random = seeded(2)
    const writer = new PackfileWriter(keys)
    const name = 'ab'.repeat(32) as Mac
    writer.addPadding(100)
    const contents = Array.from({length: 2000}, () => random.bytes(random.below(80)))
    const records = contents.map((content) => writer.add(BLOB_TYPES.chunk, content))
    const snapshot = writer.add(BLOB_TYPES.snapshot, Buffer.from('header'), {name, version: makeVersion(1, 2, 3)})
    const {blobs, data, mac} = writer.finish(TIMESTAMP)
    const bytes = seal(data)
    const index = await indexOf(keys, bytes)
    expect([...index]).to.deep.equal(blobs)
    expect(index.footer).to.include({count: 2002, flags: 0}).and.to.deep.include({timestamp: TIMESTAMP})
    expect(index.at(2001)).to.deep.equal(snapshot)
    expect(snapshot).to.include({mac: name, version: 0x01_02_03})
    expect(macOf(hasher, bytes.subarray(16, -32)).toString('hex')).to.equal(mac)
    for (const [number, record] of records.entries()) {
      const read = await readBlob(record, readAtOf(bytes, ''), {...keys, what: ''})
      expect(read.equals(contents[number]!)).to.equal(true)
    }
  })

  it('reads a small packfile with one read, and a large index with two', async function () {
    for (const [count, reads] of [
      [1000, 1],
      [3000, 2],
    ] as const) {
      const writer = new PackfileWriter(keys)
      for (let number = 0; number < count; number++) writer.add(BLOB_TYPES.chunk, Buffer.from(String(number)))
      const bytes = seal(writer.finish(TIMESTAMP).data)
      const seen: [number, number][] = []
      const index = await readPackfileIndex({
        ...keys,
        async readAt(offset, length) {
          seen.push([offset, length])
          return bytes.subarray(offset, offset + length)
        },
        size: bytes.length,
        what: '',
      })
      expect(index.length).to.equal(count)
      expect(seen.length).to.equal(reads)
    }
  })

  it('refuses an index that points beyond the blobs, or says more than they are', async function () {
    const record = {flags: 0, mac: 'ab'.repeat(32) as Mac, type: BLOB_TYPES.chunk, version: 0}
    for (const change of [
      (index: Buffer) => index.writeUInt32LE(11, 48),
      (index: Buffer) => index.writeUInt32LE(20, 48),
      (index: Buffer) => index.writeBigUInt64LE(11n, 40 + 56),
      (index: Buffer) => index.writeBigUInt64LE(2n ** 64n - 1n, 40),
    ]) {
      const writer = new PackfileWriter(keys)
      writer.addEncoded({...record, bytes: Buffer.alloc(10)})
      writer.addEncoded({...record, bytes: Buffer.alloc(10)})
      const {data} = writer.finish(TIMESTAMP)
      const index = data.subarray(20, 132)
      change(index)
      macOf(hasher, index).copy(data, 132 + 20)
      const failure = await failureOf(indexOf(keys, seal(data)))
      expect(failure).to.be.instanceOf(StoreFormatError)
    }
  })

  it('refuses sizes and places that do not fit, without reading them', async function () {
    const writer = new PackfileWriter(keys)
    writer.add(BLOB_TYPES.chunk, Buffer.from('content'))
    const bytes = seal(writer.finish(TIMESTAMP).data)
    const footer = bytes.length - 32 - 4 - 56
    for (const change of [
      (copy: Buffer) => copy.writeUInt32LE(2 ** 32 - 1, copy.length - 36),
      (copy: Buffer) => copy.writeUInt32LE(0, copy.length - 36),
      (copy: Buffer) => copy.writeUInt32LE(57, copy.length - 36),
      (copy: Buffer) => copy.writeUInt32LE(2 ** 32 - 1, footer + 8),
      (copy: Buffer) => copy.writeUInt32LE(4_000_000, footer + 8),
      (copy: Buffer) => copy.writeUInt32LE(0, footer + 8),
      (copy: Buffer) => copy.writeBigUInt64LE(2n ** 64n - 1n, footer + 12),
      (copy: Buffer) => copy.writeBigUInt64LE(BigInt(bytes.length), footer + 12),
    ]) {
      const copy = Buffer.from(bytes)
      change(copy)
      expect(await failureOf(indexOf(keys, copy))).to.be.instanceOf(StoreFormatError)
    }

    for (let length = 0; length < bytes.length; length++) {
      const failure = await failureOf(indexOf(keys, bytes.subarray(0, length)))
      expect(failure.code).to.be.oneOf(['STORE_FORMAT', 'INTEGRITY'])
    }
  })

  it('checks the content against the MAC, but not where that is a name', function () {
    const mac = '12'.repeat(32) as Mac
    const content = Buffer.from('content')
    const failure = failureIn(() => decodeBlob({mac, type: BLOB_TYPES.chunk}, content, {...keys, what: 'here'}))
    expect(failure).to.be.instanceOf(IntegrityError)
    expect(failure.facts).to.include({blob: mac, expected: mac, type: 'chunk'})
    for (const type of [BLOB_TYPES.random, BLOB_TYPES.signature, BLOB_TYPES.snapshot]) {
      expect(decodeBlob({mac, type}, content, {...keys, what: ''}).toString()).to.equal('content')
    }

    const large = failureIn(() => decodeBlob({mac, type: BLOB_TYPES.chunk}, content, {...keys, maxBytes: 6, what: ''}))
    expect(large).to.be.instanceOf(StoreFormatError)
  })

  it('does not write a blob without the name that it needs, or with one that it has', function () {
    const writer = new PackfileWriter(keys)
    const name = '12'.repeat(32) as Mac
    for (const add of [
      () => writer.add(BLOB_TYPES.snapshot, Buffer.from('x')),
      () => writer.add(BLOB_TYPES.chunk, Buffer.from('x'), {name}),
    ]) {
      expect(failureIn(add)).to.be.instanceOf(InvalidArgumentError)
    }
  })
})

async function attempt(decode: () => Buffer): Promise<KlosetOciError | undefined> {
  try {
    decode()
    return undefined
  } catch (error) {
    expect(error).to.be.instanceOf(KlosetOciError)
    return error as KlosetOciError
  }
}
