import {Decoder, ExtensionCodec} from '@msgpack/msgpack'

import {StoreFormatError} from '../errors.js'
import {isObject, type JsonObject} from '../util/json.js'
import {decodeTimestamp, type Timestamp} from './timestamp.js'

/** What a decoder allows; every bound is checked before memory is taken for what it bounds. */
export interface MsgpackLimits {
  /** Elements of one array, entries of one map. An array takes its memory before its elements are read. */
  readonly maxCount: number
  /** Bytes of one string or binary. */
  readonly maxLength: number
}

const extensionCodec = new ExtensionCodec()
extensionCodec.register({
  decode: (data) => decodeTimestamp(data),
  encode: () => null,
  type: -1,
})

/**
 * Decodes exactly one msgpack value. Integers of 64 bits come as bigint, timestamps as `Timestamp`.
 * @param what names the object in errors
 * @throws StoreFormatError when the bytes are not one value within the limits
 */
export function decodeMsgpack(bytes: Uint8Array, what: string, {maxCount, maxLength}: MsgpackLimits): unknown {
  const decoder = new Decoder({
    extensionCodec,
    maxArrayLength: maxCount,
    maxBinLength: maxLength,
    maxExtLength: 16,
    maxMapLength: maxCount,
    maxStrLength: maxLength,
    useBigInt64: true,
  })
  try {
    return decoder.decode(bytes)
  } catch (error) {
    throw new StoreFormatError(`${what}: not valid msgpack`, {cause: error})
  }
}

/** The fields of a decoded map, each read with its type. A missing or nil field is the zero value, as in kloset. */
export class MsgpackFields {
  readonly #fields: JsonObject
  readonly #what: string

  /** @throws StoreFormatError unless `value` is a map */
  constructor(value: unknown, what: string) {
    if (!isObject(value)) throw new StoreFormatError(`${what}: not a map`)
    this.#fields = value
    this.#what = what
  }

  bool(name: string): boolean {
    const value = this.#fields[name] ?? false
    if (typeof value !== 'boolean') throw this.#unfit(name, 'a boolean')
    return value
  }

  bytes(name: string): Buffer {
    const value = this.#fields[name] ?? new Uint8Array(0)
    if (!(value instanceof Uint8Array)) throw this.#unfit(name, 'bytes')
    return Buffer.from(value)
  }

  /** The nested map under a name, or undefined when it is nil or missing. */
  child(name: string): MsgpackFields | undefined {
    const value = this.#fields[name] ?? undefined
    return value === undefined ? undefined : new MsgpackFields(value, `${this.#what}: ${name}`)
  }

  int(name: string): number {
    const value = this.#fields[name] ?? 0
    const number = typeof value === 'bigint' ? Number(value) : value
    if (!Number.isSafeInteger(number)) throw this.#unfit(name, 'an integer')
    return number as number
  }

  string(name: string): string {
    const value = this.#fields[name] ?? ''
    if (typeof value !== 'string') throw this.#unfit(name, 'a string')
    return value
  }

  timestamp(name: string): Timestamp {
    const value = this.#fields[name]
    if (!isObject(value)) throw this.#unfit(name, 'a timestamp')
    const {nanoseconds, seconds} = value
    if (typeof nanoseconds !== 'number' || typeof seconds !== 'number') throw this.#unfit(name, 'a timestamp')
    return {nanoseconds, seconds}
  }

  /** @param max the largest value that the field's type can hold */
  uint(name: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.int(name)
    if (value < 0 || value > max) throw this.#unfit(name, `an integer from 0 to ${max}`)
    return value
  }

  #unfit(name: string, expected: string): StoreFormatError {
    return new StoreFormatError(`${this.#what}: ${name} is not ${expected}`, {facts: {expected, field: name}})
  }
}
