import {encodeTimestamp, type Timestamp} from './timestamp.js'

/**
 * Writes msgpack as kloset's own encoder does: a field's width follows its declared type and not its value, so that the
 * bytes (and the MAC over them) are the same. The usual libraries choose the shortest form and cannot be told otherwise.
 * Strings, binaries and maps take the shortest header, as there.
 * @see https://github.com/msgpack/msgpack/blob/master/spec.md
 */
export class MsgpackWriter {
  readonly #parts: Buffer[] = []

  /** The header of an array: `count` values follow. At most 15. */
  array(count: number): this {
    return this.#push(Buffer.from([0x90 + count]))
  }

  bin(value: Uint8Array): this {
    return this.#sized(value.length, [undefined, 0xc4, 0xc5, 0xc6], Buffer.from(value))
  }

  bool(value: boolean): this {
    return this.#push(Buffer.from([value ? 0xc3 : 0xc2]))
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }

  float64(value: number): this {
    return this.#number(0xcb, 8, (buffer) => buffer.writeDoubleBE(value, 1))
  }

  /** A Go `int`: the shortest form. */
  int(value: number): this {
    if (value >= 0) return this.#unsigned(value)
    if (value >= -32) return this.#push(Buffer.from([value + 256]))
    if (value >= -(2 ** 7)) return this.#number(0xd0, 1, (buffer) => buffer.writeInt8(value, 1))
    if (value >= -(2 ** 15)) return this.#number(0xd1, 2, (buffer) => buffer.writeInt16BE(value, 1))
    if (value >= -(2 ** 31)) return this.#number(0xd2, 4, (buffer) => buffer.writeInt32BE(value, 1))
    return this.#number(0xd3, 8, (buffer) => buffer.writeBigInt64BE(BigInt(value), 1))
  }

  /** The header of a map: `count` keys and values follow. At most 15, which every map of the format keeps to. */
  map(count: number): this {
    return this.#push(Buffer.from([0x80 + count]))
  }

  nil(): this {
    return this.#push(Buffer.from([0xc0]))
  }

  string(value: string): this {
    const bytes = Buffer.from(value)
    if (bytes.length < 32) return this.#push(Buffer.from([0xa0 + bytes.length]), bytes)
    return this.#sized(bytes.length, [undefined, 0xd9, 0xda, 0xdb], bytes)
  }

  timestamp(value: Timestamp): this {
    const payload = encodeTimestamp(value)
    const header = payload.length === 12 ? [0xc7, 12, 0xff] : [payload.length === 4 ? 0xd6 : 0xd7, 0xff]
    return this.#push(Buffer.from(header), payload)
  }

  uint32(value: number): this {
    return this.#number(0xce, 4, (buffer) => buffer.writeUInt32BE(value, 1))
  }

  uint64(value: bigint | number): this {
    return this.#number(0xcf, 8, (buffer) => buffer.writeBigUInt64BE(BigInt(value), 1))
  }

  uint8(value: number): this {
    return this.#number(0xcc, 1, (buffer) => buffer.writeUInt8(value, 1))
  }

  #number(code: number, width: number, write: (buffer: Buffer) => unknown): this {
    const buffer = Buffer.alloc(1 + width)
    buffer[0] = code
    write(buffer)
    return this.#push(buffer)
  }

  #push(...parts: Buffer[]): this {
    this.#parts.push(...parts)
    return this
  }

  #sized(length: number, [, short, medium, long]: readonly (number | undefined)[], bytes: Buffer): this {
    if (length < 2 ** 8) this.#number(short!, 1, (buffer) => buffer.writeUInt8(length, 1))
    else if (length < 2 ** 16) this.#number(medium!, 2, (buffer) => buffer.writeUInt16BE(length, 1))
    else this.#number(long!, 4, (buffer) => buffer.writeUInt32BE(length, 1))
    return this.#push(bytes)
  }

  #unsigned(value: number): this {
    if (value < 2 ** 7) return this.#push(Buffer.from([value]))
    if (value < 2 ** 8) return this.uint8(value)
    if (value < 2 ** 16) return this.#number(0xcd, 2, (buffer) => buffer.writeUInt16BE(value, 1))
    return value < 2 ** 32 ? this.uint32(value) : this.uint64(value)
  }
}
