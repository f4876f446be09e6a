import {encode, type EncoderOptions} from '@msgpack/msgpack'
import {expect} from 'chai'

import {StoreFormatError} from '../../../../src/errors.js'
import {MsgpackReader} from '../../../../src/kloset/snapshot/msgpack-reader.js'
import {failureIn} from '../../../helpers/failure.js'

const packed = (value: unknown, options: EncoderOptions = {useBigInt64: true}) => Buffer.from(encode(value, options))
const reader = (bytes: Buffer) => new MsgpackReader(bytes, 'it')
const hex = (text: string) => reader(Buffer.from(text, 'hex'))

const nil = () => hex('c0')

/** One of everything, deep and wide. */
const EVERYTHING = {
  array: [[], [1, [2, [3]]], Array.from({length: 20}, (_, index) => index)],
  bigint: [2n ** 63n, -(2n ** 63n), 2n ** 64n - 1n],
  bin: [Buffer.alloc(0), Buffer.alloc(300), Buffer.alloc(70_000)],
  bools: [true, false, null],
  floats: [1.5, -0.1, Number.MAX_VALUE, Number.NaN],
  ints: [0, 1, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295, -1, -32, -33, -128, -129, -32_768, -2_147_483_648],
  long: 'x'.repeat(70_000),
  map: Object.fromEntries(Array.from({length: 20}, (_, index) => [`key ${index}`, {index}])),
  text: ['', 'é', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(256)],
  time: new Date(1_700_000_000_123),
}

describe('msgpack reader', function () {
  it('reads integers of every width exactly', function () {
    for (const value of EVERYTHING.ints) expect(reader(packed(value)).int()).to.equal(value)
    for (const value of EVERYTHING.bigint) expect(reader(packed(value)).int64()).to.equal(value)
    expect(reader(packed(5)).int64()).to.equal(5n)
    // As kloset writes them: in the width of the field and not of the value.
    expect(hex('cf0000000000000005').int()).to.equal(5)
    expect(hex('d3ffffffffffffffff').int()).to.equal(-1)
    expect(hex('ce00000007').uint32()).to.equal(7)
    expect(failureIn(() => reader(packed(2n ** 63n)).int())).to.be.instanceOf(StoreFormatError)
    expect(failureIn(() => reader(packed(-1)).uint32())).to.be.instanceOf(StoreFormatError)
    expect(failureIn(() => reader(packed(2 ** 32)).uint32())).to.be.instanceOf(StoreFormatError)
  })

  it('reads everything else', function () {
    for (const value of EVERYTHING.floats) expect(reader(packed(value)).float()).to.deep.equal(value)
    expect(reader(packed(1.5, {forceFloat32: true})).float()).to.equal(1.5)
    expect(reader(packed(3)).float()).to.equal(3)
    expect(reader(packed(2n ** 63n)).float()).to.equal(2 ** 63)
    for (const value of EVERYTHING.text) expect(reader(packed(value)).string()).to.equal(value)
    for (const value of EVERYTHING.bin) expect(reader(packed(value)).bytes().equals(value)).to.equal(true)
    expect([true, false].map((value) => reader(packed(value)).bool())).to.deep.equal([true, false])
    expect(reader(packed(EVERYTHING.time)).timestamp()).to.deep.equal({
      nanoseconds: 123_000_000,
      seconds: 1_700_000_000,
    })
    expect(reader(packed([1, 2])).arrayHeader()).to.equal(2)
    expect(reader(packed(EVERYTHING.map)).mapHeader()).to.equal(20)
    expect(reader(packed(Buffer.alloc(32, 0xab))).mac()).to.equal('ab'.repeat(32))
    expect(reader(packed(Buffer.alloc(32))).mac()).to.equal(undefined)
  })

  it('takes nil for the zero of whatever is read', function () {
    expect([nil().int(), nil().float(), nil().uint32(), nil().arrayHeader(), nil().mapHeader()]).to.deep.equal([
      0, 0, 0, 0, 0,
    ])
    expect([nil().string(), nil().bool(), nil().int64(), nil().mac(), nil().timestamp()]).to.deep.equal([
      '',
      false,
      0n,
      undefined,
      undefined,
    ])
    expect(nil().bytes().length).to.equal(0)
  })

  it('passes over one value of any kind, and no more', function () {
    for (const value of [EVERYTHING, ...Object.values(EVERYTHING).flat()]) {
      const bytes = packed(value)
      const one = reader(Buffer.concat([bytes, Buffer.from([7])]))
      one.skip()
      expect(one.int()).to.equal(7)
      one.end()
    }
  })

  it('passes over nesting of any depth without running out of stack', function () {
    const deep = reader(Buffer.concat([Buffer.alloc(5_000_000, 0x91), Buffer.from([1])]))
    deep.skip()
    deep.end()
  })

  it('refuses lengths that there are no bytes for, before it takes memory', function () {
    for (const claim of ['ddffffffff', 'dfffffffff', 'c6ffffffff', 'dbffffffff', 'c9ffffffff05', 'dcffff', 'deffff']) {
      for (const read of [
        (from: MsgpackReader) => from.skip(),
        (from: MsgpackReader) => from.arrayHeader(),
        (from: MsgpackReader) => from.mapHeader(),
        (from: MsgpackReader) => from.bytes(),
        (from: MsgpackReader) => from.timestamp(),
      ]) {
        expect(
          failureIn(() => read(hex(claim))),
          claim,
        ).to.be.instanceOf(StoreFormatError)
      }
    }

    // A thousand arrays in one another, each of which claims what there are bytes for.
    const nested = Buffer.alloc(5000)
    for (let at = 0; at < nested.length; at += 5) {
      nested[at] = 0xdd
      nested.writeUInt32BE(4000, at + 1)
    }

    expect(failureIn(() => reader(nested).skip())).to.be.instanceOf(StoreFormatError)
  })

  it('refuses what ends early, at every length', function () {
    const bytes = packed({a: [1, 'two', 3.5, Buffer.alloc(3), new Date(1)], b: {c: 300, d: -70_000}})
    for (let length = 0; length < bytes.length; length++) {
      expect(
        failureIn(() => reader(bytes.subarray(0, length)).skip()),
        `${length} bytes`,
      ).to.be.instanceOf(StoreFormatError)
    }
  })

  it('refuses values of another kind', function () {
    const reads: readonly (readonly [string, (from: MsgpackReader) => unknown])[] = [
      ['a161', (from) => from.int()],
      ['01', (from) => from.string()],
      ['01', (from) => from.bytes()],
      ['80', (from) => from.arrayHeader()],
      ['90', (from) => from.mapHeader()],
      ['01', (from) => from.bool()],
      ['01', (from) => from.timestamp()],
      ['d600ffffffff', (from) => from.timestamp()],
      ['c403010203', (from) => from.mac()],
      ['c1', (from) => from.skip()],
      ['c0', (from) => from.requiredMac()],
      ['0102', (from) => from.int() && from.end()],
      [`d941${'61'.repeat(65)}`, (from) => from.key()],
      ['d7ffffffffffffffffff', (from) => from.timestamp()],
    ]
    for (const [bytes, read] of reads) {
      const failure = failureIn(() => read(hex(bytes)))
      expect(failure, bytes).to.be.instanceOf(StoreFormatError)
    }
  })
})
