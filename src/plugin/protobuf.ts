import {RpcError, Status} from './rpc/status.js'

/**
 * As much of the protocol buffer wire format as the store's messages need.
 * @see https://protobuf.dev/programming-guides/encoding/
 */

export const Wire = {BYTES: 2, FIXED32: 5, FIXED64: 1, VARINT: 0} as const

/** Reads the fields of one message. Bytes are views of the message. */
export class MessageFields {
  /** Number of the current field. */
  field = 0
  #at: number
  readonly #bytes: Buffer
  readonly #end: number
  #wire = 0

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  bytes(): Buffer {
    const end = this.#lengthDelimited()
    const value = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return value
  }

  /** The fields of a message inside this one. */
  message(): MessageFields {
    const end = this.#lengthDelimited()
    const fields = new MessageFields(this.#bytes, this.#at, end)
    this.#at = end
    return fields
  }

  /** Moves to the next field. @returns false at the end of the message */
  next(): boolean {
    if (this.#at >= this.#end) return false
    const tag = this.#varint()
    this.field = Math.floor(tag / 8)
    this.#wire = tag % 8
    if (this.field === 0) throw malformed('a field without a number')
    return true
  }

  skip(): void {
    switch (this.#wire) {
      case Wire.BYTES: {
        this.#at = this.#lengthDelimited()
        return
      }

      case Wire.FIXED32: {
        this.#advance(4)
        return
      }

      case Wire.FIXED64: {
        this.#advance(8)
        return
      }

      case Wire.VARINT: {
        this.#varint()
        return
      }

      default: {
        throw malformed(`wire type ${this.#wire}`)
      }
    }
  }

  string(): string {
    return this.bytes().toString()
  }

  /** An unsigned number; beyond 2^53 it is refused. */
  uint(): number {
    if (this.#wire !== Wire.VARINT) throw malformed(`field ${this.field} in the wrong form`)
    const value = this.#varint()
    if (value > Number.MAX_SAFE_INTEGER) throw malformed(`field ${this.field} is too large`)
    return value
  }

  #advance(count: number): void {
    if (this.#end - this.#at < count) throw malformed('a cut field')
    this.#at += count
  }

  #lengthDelimited(): number {
    if (this.#wire !== Wire.BYTES) throw malformed(`field ${this.field} in the wrong form`)
    const length = this.#varint()
    if (length > this.#end - this.#at) throw malformed('a cut field')
    return this.#at + length
  }

  /** Exact up to 2^53; larger ones come out as some larger number. */
  #varint(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < 10; count++) {
      if (this.#at >= this.#end) throw malformed('a cut number')
      const byte = this.#bytes[this.#at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }

    throw malformed('a number that does not end')
  }
}

/** Tag and length before a field of `length` bytes. */
export function bytesFieldHead(field: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(10)
  const at = putVarint(head, putVarint(head, 0, field * 8 + Wire.BYTES), length)
  return head.subarray(0, at)
}

export function bytesField(field: number, bytes: Uint8Array): Buffer {
  return bytes.length === 0 ? Buffer.alloc(0) : Buffer.concat([bytesFieldHead(field, bytes.length), bytes])
}

export function stringField(field: number, text: string): Buffer {
  return bytesField(field, Buffer.from(text))
}

/** A field with a whole number from 0 to 2^53; nothing for 0, as proto3 has it. */
export function uintField(field: number, value: number): Buffer {
  if (value === 0) return Buffer.alloc(0)
  const bytes = Buffer.allocUnsafe(15)
  const at = putVarint(bytes, putVarint(bytes, 0, field * 8 + Wire.VARINT), value)
  return bytes.subarray(0, at)
}

/** A field of a signed 64-bit number, negative ones in ten bytes. */
export function intField(field: number, value: number): Buffer {
  if (value >= 0) return uintField(field, value)
  const bytes = Buffer.allocUnsafe(15)
  let at = putVarint(bytes, 0, field * 8 + Wire.VARINT)
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest >= 0x80n; rest >>= 7n) bytes[at++] = Number(rest & 0x7fn) | 0x80
  bytes[at++] = Number(rest)
  return bytes.subarray(0, at)
}

export function putVarint(out: Buffer, at: number, value: number): number {
  let rest = value
  let position = at
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) out[position++] = (rest % 128) | 0x80
  out[position++] = rest
  return position
}

function malformed(what: string): RpcError {
  return new RpcError(Status.INVALID_ARGUMENT, `the request is not a sound message: ${what}`)
}
