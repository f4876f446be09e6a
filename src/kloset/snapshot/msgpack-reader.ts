import {StoreFormatError} from '../../errors.js'
import {type Mac, MAC_BYTES} from '../mac.js'
import {decodeTimestamp, type Timestamp} from '../timestamp.js'
import {nameFromBytes} from './path.js'

const NIL = 0xc0
const FALSE = 0xc2
const TRUE = 0xc3
const FLOAT_32 = 0xca
const FLOAT_64 = 0xcb
const TIMESTAMP_TYPE = 255
const MAX_KEY_BYTES = 64

/** The MAC that stands for none. */
const NO_MAC = '0'.repeat(2 * MAC_BYTES)

/** What decoding puts in the place of what is not UTF-8. */
const REPLACEMENT = '\uFFFD'

/** Bytes of each integer's value, by its first byte; negative for those with a sign. */
const INTEGERS: ReadonlyMap<number, number> = new Map([
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, -1],
  [0xd1, -2],
  [0xd2, -4],
  [0xd3, -8],
])

/** Bytes of each length field, by its first byte. */
const BINARIES: ReadonlyMap<number, number> = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
])
const EXTENSIONS: ReadonlyMap<number, number> = new Map([
  [0xc7, 1],
  [0xc8, 2],
  [0xc9, 4],
])
const ARRAYS: ReadonlyMap<number, number> = new Map([
  [0xdc, 2],
  [0xdd, 4],
])
const MAPS: ReadonlyMap<number, number> = new Map([
  [0xde, 2],
  [0xdf, 4],
])

/**
 * Reads msgpack value by value, as the reader's code expects them. It takes no memory for what a length claims: lists
 * of chunks by the million are read in place. Names keep their bytes and 64-bit integers theirs, which the usual
 * decoders into objects do not do.
 *
 * A nil is the zero value of whatever is read, as in kloset.
 * @see https://github.com/msgpack/msgpack/blob/master/spec.md
 */
export class MsgpackReader {
  #at = 0
  readonly #bytes: Buffer
  readonly #what: string

  /** @param what names the blob in errors */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  /**
   * How many items follow.
   * @param bytesEach the fewest bytes that an item has
   * @throws StoreFormatError when there are not as many bytes left
   */
  arrayHeader(bytesEach = 1): number {
    const code = this.#byte()
    if (code === NIL) return 0
    if (code >= 0x90 && code <= 0x9f) return this.#count(code - 0x90, bytesEach)
    const width = ARRAYS.get(code)
    if (width === undefined) throw this.#unexpected('an array', code)
    return this.#count(this.#uint(width), bytesEach)
  }

  bool(): boolean {
    const code = this.#byte()
    if (code !== TRUE && code !== FALSE && code !== NIL) throw this.#unexpected('a boolean', code)
    return code === TRUE
  }

  /** Bytes, as a view of the blob. */
  bytes(): Buffer {
    return this.#take(this.#textLength())
  }

  /** @throws StoreFormatError unless everything was read */
  end(): void {
    if (this.#at < this.#bytes.length) {
      throw this.#unsound(`goes on for ${this.#bytes.length - this.#at} bytes behind its end`)
    }
  }

  float(): number {
    const code = this.#peek()
    if (code === FLOAT_32) {
      this.#at += 1
      return this.#take(4).readFloatBE()
    }

    if (code !== FLOAT_64) return Number(this.#integer())
    this.#at += 1
    return this.#take(8).readDoubleBE()
  }

  /** An integer that a number holds exactly. */
  int(): number {
    const value = this.#integer()
    if (typeof value === 'number') return value
    throw this.#unsound(`has an integer that is too large: ${value}`)
  }

  /** Any integer of 64 bits. */
  int64(): bigint {
    return BigInt(this.#integer())
  }

  /** The name of a field. */
  key(): string {
    const length = this.#textLength()
    if (length > MAX_KEY_BYTES) throw this.#unsound(`has a field with a name of ${length} bytes`)
    const start = this.#advance(length)
    return this.#bytes.toString('latin1', start, start + length)
  }

  /** A MAC; undefined for nil and for the one of zeros, which stands for none. */
  mac(): Mac | undefined {
    const length = this.#textLength()
    if (length === 0) return undefined
    if (length !== MAC_BYTES) throw this.#unsound(`has a MAC of ${length} bytes`)
    const start = this.#advance(length)
    const mac = this.#bytes.toString('hex', start, start + length)
    return mac === NO_MAC ? undefined : (mac as Mac)
  }

  /** How many keys and values follow. @throws StoreFormatError when there are not as many bytes left */
  mapHeader(): number {
    const code = this.#byte()
    if (code === NIL) return 0
    if (code >= 0x80 && code <= 0x8f) return this.#count(code - 0x80, 2)
    const width = MAPS.get(code)
    if (width === undefined) throw this.#unexpected('a map', code)
    return this.#count(this.#uint(width), 2)
  }

  /** A MAC that has to be there. */
  requiredMac(): Mac {
    const mac = this.mac()
    if (mac === undefined) throw this.#unsound('has no MAC where one belongs')
    return mac
  }

  /** Passes over one value, whatever it is and holds. */
  skip(): void {
    for (let left = 1; left > 0; left--) {
      const code = this.#byte()
      if (code <= 0x7f || code >= 0xe0 || (code >= NIL && code <= TRUE && code !== 0xc1)) continue
      left += this.#skipBody(code)
    }
  }

  /** A name or any other text; bytes that are not UTF-8 are kept. */
  string(): string {
    const length = this.#textLength()
    const start = this.#advance(length)
    const text = this.#bytes.toString('utf8', start, start + length)
    // Nearly every text is UTF-8, which decoding it tells for nothing.
    return text.includes(REPLACEMENT) ? nameFromBytes(this.#bytes.subarray(start, start + length)) : text
  }

  /** Undefined for nil. */
  timestamp(): Timestamp | undefined {
    const code = this.#byte()
    if (code === NIL) return undefined
    const length = this.#extensionLength(code)
    if (length === undefined) throw this.#unexpected('a timestamp', code)
    const type = this.#byte()
    const payload = this.#take(length)
    if (type !== TIMESTAMP_TYPE) throw this.#unsound(`has an extension of type ${type} for a timestamp`)
    return decodeTimestamp(payload)
  }

  /** An integer from 0 to 2^32 - 1. */
  uint32(): number {
    const value = this.int()
    if (value < 0 || value >= 2 ** 32) throw this.#unsound(`has ${value} for an integer of 32 bits`)
    return value
  }

  /** Passes over `size` bytes. @returns where they begin */
  #advance(size: number): number {
    const start = this.#at
    if (start + size > this.#bytes.length) throw this.#unsound('ended early')
    this.#at = start + size
    return start
  }

  #byte(): number {
    const byte = this.#peek()
    this.#at += 1
    return byte
  }

  #count(count: number, bytesEach: number): number {
    if (count * bytesEach <= this.#bytes.length - this.#at) return count
    throw this.#unsound(`claims ${count} items with ${this.#bytes.length - this.#at} bytes left`)
  }

  #extensionLength(code: number): number | undefined {
    if (code >= 0xd4 && code <= 0xd8) return 2 ** (code - 0xd4)
    const width = EXTENSIONS.get(code)
    return width === undefined ? undefined : this.#uint(width)
  }

  #integer(): bigint | number {
    const code = this.#byte()
    if (code === NIL) return 0
    if (code <= 0x7f) return code
    if (code >= 0xe0) return code - 256
    const width = INTEGERS.get(code)
    if (width === undefined) throw this.#unexpected('an integer', code)
    const at = this.#advance(Math.abs(width))
    if (width === 8 || width === -8) return this.#wide(at, width)
    return width > 0 ? this.#bytes.readUIntBE(at, width) : this.#bytes.readIntBE(at, -width)
  }

  #peek(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw this.#unsound('ended early')
    return byte
  }

  /** Passes over what follows a first byte. @returns how many values that holds */
  #skipBody(code: number): number {
    if (code <= 0x8f) return this.#count(code - 0x80, 2) * 2
    if (code <= 0x9f) return this.#count(code - 0x90, 1)
    const map = MAPS.get(code)
    if (map !== undefined) return this.#count(this.#uint(map), 2) * 2
    const array = ARRAYS.get(code)
    if (array !== undefined) return this.#count(this.#uint(array), 1)
    const binary = BINARIES.get(code)
    if (code <= 0xbf) this.#take(code - 0xa0)
    else if (binary !== undefined) this.#take(this.#uint(binary))
    else if (code === FLOAT_32 || code === FLOAT_64) this.#take(code === FLOAT_32 ? 4 : 8)
    else this.#skipRest(code)
    return 0
  }

  #skipRest(code: number): void {
    const integer = INTEGERS.get(code)
    const length = integer === undefined ? this.#extensionLength(code) : Math.abs(integer)
    if (length === undefined) throw this.#unexpected('a value', code)
    this.#take(length + (integer === undefined ? 1 : 0))
  }

  #take(size: number): Buffer {
    const start = this.#advance(size)
    return this.#bytes.subarray(start, start + size)
  }

  /** The length of the text or bytes that come next; 0 for nil. */
  #textLength(): number {
    const code = this.#byte()
    if (code >= 0xa0 && code <= 0xbf) return code - 0xa0
    if (code === NIL) return 0
    const width = BINARIES.get(code)
    if (width === undefined) throw this.#unexpected('a text or bytes', code)
    return this.#uint(width)
  }

  #uint(width: number): number {
    return this.#bytes.readUIntBE(this.#advance(width), width)
  }

  #unexpected(expected: string, code: number): StoreFormatError {
    return this.#unsound(`has 0x${code.toString(16)} where ${expected} belongs`)
  }

  #unsound(how: string): StoreFormatError {
    return new StoreFormatError(`${this.#what} ${how}`, {facts: {offset: this.#at}})
  }

  /** An integer of 64 bits, as a number where that holds it. */
  #wide(at: number, width: number): bigint | number {
    const high = width > 0 ? this.#bytes.readUInt32BE(at) : this.#bytes.readInt32BE(at)
    const narrow = high * 2 ** 32 + this.#bytes.readUInt32BE(at + 4)
    if (Number.isSafeInteger(narrow)) return narrow
    return width > 0 ? this.#bytes.readBigUInt64BE(at) : this.#bytes.readBigInt64BE(at)
  }
}
