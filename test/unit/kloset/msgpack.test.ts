import {decode, encode} from '@msgpack/msgpack'
import {expect} from 'chai'

import {MsgpackWriter} from '../../../src/kloset/msgpack-writer.js'
import {decodeMsgpack, MsgpackFields} from '../../../src/kloset/msgpack.js'
import {
  decodeTimestamp,
  encodeTimestamp,
  formatTimestamp,
  timestampFromMillis,
  timestampToMillis,
} from '../../../src/kloset/timestamp.js'
import {failureIn} from '../../helpers/failure.js'

const LIMITS = {maxCount: 8, maxLength: 70_000}
const hex = (writer: MsgpackWriter) => writer.bytes().toString('hex')

describe('msgpack', () => {
  it('writes fixed widths for typed integers and the shortest form for int', () => {
    expect(hex(new MsgpackWriter().uint8(1).uint32(2).uint64(3))).to.equal('cc01ce00000002cf0000000000000003')
    const shortest: [number, string][] = [
      [0, '00'],
      [127, '7f'],
      [128, 'cc80'],
      [255, 'ccff'],
      [256, 'cd0100'],
      [65_535, 'cdffff'],
      [65_536, 'ce00010000'],
      [4_294_967_295, 'ceffffffff'],
      [4_294_967_296, 'cf0000000100000000'],
      [-1, 'ff'],
      [-32, 'e0'],
      [-33, 'd0df'],
      [-128, 'd080'],
      [-129, 'd1ff7f'],
      [-32_769, 'd2ffff7fff'],
      [-2_147_483_649, 'd3ffffffff7fffffff'],
    ]
    for (const [value, expected] of shortest) expect(hex(new MsgpackWriter().int(value)), `${value}`).to.equal(expected)
  })

  it('writes strings and binaries that any reader reads', () => {
    for (const length of [0, 31, 32, 255, 256, 65_535, 65_536]) {
      const text = 'x'.repeat(length)
      expect(decode(new MsgpackWriter().string(text).bytes())).to.equal(text)
      const bytes = Buffer.alloc(length, 1)
      expect(Buffer.from(decode(new MsgpackWriter().bin(bytes).bytes()) as Uint8Array).equals(bytes)).to.equal(true)
      expect(
        new MsgpackWriter()
          .string(text)
          .bytes()
          .equals(Buffer.from(encode(text))),
      ).to.equal(true)
    }

    const map = new MsgpackWriter().map(3).string('a').nil().string('b').bool(true).string('c').bool(false)
    expect(decode(map.bytes())).to.deep.equal({a: null, b: true, c: false})
  })

  it('keeps timestamps to the nanosecond in all three forms', () => {
    for (const [seconds, nanoseconds, bytes] of [
      [0, 0, 4],
      [2 ** 32 - 1, 0, 4],
      [1_763_932_387, 356_626_389, 8],
      [2 ** 32, 0, 8],
      [2 ** 34 - 1, 999_999_999, 8],
      [2 ** 34, 1, 12],
      [-1, 999_999_999, 12],
    ] as const) {
      const encoded = encodeTimestamp({nanoseconds, seconds})
      expect(encoded).to.have.length(bytes)
      expect(decodeTimestamp(encoded)).to.deep.equal({nanoseconds, seconds})
      expect(decodeMsgpack(new MsgpackWriter().timestamp({nanoseconds, seconds}).bytes(), 'x', LIMITS)).to.deep.equal({
        nanoseconds,
        seconds,
      })
    }
  })

  it('refuses timestamps that are none', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(5), Buffer.alloc(8, 0xff), Buffer.alloc(12, 0x7f)]) {
      expect(failureIn(() => decodeTimestamp(bytes)).code).to.equal('STORE_FORMAT')
    }
  })

  it('shows timestamps as RFC 3339 and turns them into milliseconds', () => {
    expect(formatTimestamp({nanoseconds: 356_626_389, seconds: 1_763_932_387})).to.equal(
      '2025-11-23T21:13:07.356626389Z',
    )
    expect(formatTimestamp({nanoseconds: 0, seconds: 0})).to.equal('1970-01-01T00:00:00Z')
    expect(timestampFromMillis(1234.9)).to.deep.equal({nanoseconds: 234_000_000, seconds: 1})
    expect(timestampToMillis(timestampFromMillis(-1))).to.equal(-1)
    expect(timestampToMillis({nanoseconds: 999_999_999, seconds: 1})).to.equal(1999)
  })

  it('refuses what is not one value, or is larger than allowed, before memory is taken for it', () => {
    const hostile = [
      '',
      'c1',
      '93',
      '0000',
      'dd7fffffff',
      'df7fffffff',
      'c67fffffff',
      'db7fffffff',
      'c97fffffffff',
      `99${'00'.repeat(9)}`,
      'dd00000008'.repeat(100_000),
      '81a95f5f70726f746f5f5f80',
      'd7ff0000000000000000ff',
      'd800ffffffff',
    ]
    for (const bytes of hostile) {
      const error = failureIn(() => decodeMsgpack(Buffer.from(bytes, 'hex'), 'x', LIMITS))
      expect(error.code, bytes.slice(0, 40)).to.equal('STORE_FORMAT')
    }
  })

  it('reads fields with their types; a missing one is the zero value', () => {
    const fields = new MsgpackFields(
      {b: true, big: 2n ** 60n, bin: new Uint8Array([1]), i: -5, n: null, s: 'x', u: 7n},
      'x',
    )
    expect([
      fields.bool('b'),
      fields.bool('none'),
      fields.int('i'),
      fields.uint('u'),
      fields.uint('none'),
    ]).to.deep.equal([true, false, -5, 7, 0])
    expect([fields.string('s'), fields.string('n'), fields.bytes('bin')[0], fields.bytes('none').length]).to.deep.equal(
      ['x', '', 1, 0],
    )
    expect(fields.child('n')).to.equal(undefined)
    for (const wrong of [
      () => fields.bool('s'),
      () => fields.bytes('s'),
      () => fields.child('s'),
      () => fields.int('big'),
      () => fields.int('s'),
      () => fields.string('b'),
      () => fields.timestamp('none'),
      () => fields.timestamp('s'),
      () => fields.uint('i'),
      () => fields.uint('u', 6),
      () => new MsgpackFields([], 'x'),
    ]) {
      expect(failureIn(wrong).code).to.equal('STORE_FORMAT')
    }
  })
})
