import {StoreFormatError} from '../../../errors.js'

/** A value of a row. Real numbers are not read: nothing that is looked for here has any. */
export type SqlValue = bigint | Buffer | null | string

/** A variable-length integer and where it ends. @see https://www.sqlite.org/fileformat2.html#varint */
export function readVarint(bytes: Buffer, at: number): {readonly end: number; readonly value: number} {
  let value = 0n
  for (let index = 0; index < 9; index++) {
    const byte = bytes[at + index]
    if (byte === undefined) throw new StoreFormatError('state cache: a number is cut off')
    if (index === 8) return {end: at + 9, value: Number(value * 256n + BigInt(byte))}
    value = value * 128n + BigInt(byte % 128)
    if (byte < 128) return {end: at + index + 1, value: Number(value)}
  }

  throw new StoreFormatError('state cache: a number is too long')
}

const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8]

/** The values of a record. @throws StoreFormatError @see https://www.sqlite.org/fileformat2.html#record_format */
export function decodeRecord(payload: Buffer): SqlValue[] {
  const header = readVarint(payload, 0)
  if (header.value > payload.length) throw new StoreFormatError('state cache: a record is cut off')
  const values: SqlValue[] = []
  let at = header.value
  for (let position = header.end; position < header.value;) {
    const {end, value: type} = readVarint(payload, position)
    position = end
    const length = lengthOf(type)
    if (at + length > payload.length) throw new StoreFormatError('state cache: a value is cut off')
    values.push(valueOf(type, payload.subarray(at, at + length)))
    at += length
  }

  return values
}

function lengthOf(type: number): number {
  if (type >= 12) return Math.floor((type - 12) / 2)
  return type === 7 ? 8 : (INTEGER_BYTES[type] ?? 0)
}

function valueOf(type: number, bytes: Buffer): SqlValue {
  if (type >= 12) return type % 2 === 0 ? Buffer.from(bytes) : bytes.toString('utf8')
  if (type === 8 || type === 9) return BigInt(type - 8)
  if (type > 9) throw new StoreFormatError('state cache: a value of a kind that there is none of')
  if (type === 0 || type === 7) return null
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
}
