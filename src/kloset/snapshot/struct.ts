import type {Mac} from '../mac.js'
import type {Timestamp} from '../timestamp.js'
import type {MsgpackReader} from './msgpack-reader.js'

export type Read<T> = (reader: MsgpackReader) => T

/** A field of a structure as kloset writes it. */
export interface Field<T> {
  /** Its name in msgpack. */
  readonly name: string
  readonly read: Read<T>
  /** What it is when it was not written. */
  readonly zero: T
}

export type Fields<T> = {readonly [Key in keyof T]-?: Field<T[Key]>}

/** The time of a field that was not written. */
export const EPOCH: Timestamp = {nanoseconds: 0, seconds: 0}

/** A reader of maps with the given fields. Others are passed over: newer versions add some. */
export function struct<T extends object>(fields: Fields<T>): Read<T> {
  const byName = new Map<string, readonly [keyof T, Read<unknown>]>()
  const zero: Partial<Record<keyof T, unknown>> = {}
  for (const key of Object.keys(fields) as (keyof T)[]) {
    const field = fields[key]
    byName.set(field.name, [key, field.read])
    zero[key] = field.zero
  }

  return (reader) => {
    const result = {...zero}
    for (let left = reader.mapHeader(); left > 0; left--) {
      const field = byName.get(reader.key())
      if (field) result[field[0]] = field[1](reader)
      else reader.skip()
    }

    return result as T
  }
}

export function bool(name: string): Field<boolean> {
  return {name, read: (reader) => reader.bool(), zero: false}
}

/** Copied: it outlives the blob. */
export function bytes(name: string, zero = Buffer.alloc(0)): Field<Buffer> {
  return {name, read: (reader) => Buffer.from(reader.bytes()), zero}
}

/** A number that may have a fraction, or be rounded. */
export function float(name: string): Field<number> {
  return {name, read: (reader) => reader.float(), zero: 0}
}

export function int(name: string): Field<number> {
  return {name, read: (reader) => reader.int(), zero: 0}
}

/** An integer that a number may not hold. */
export function int64(name: string): Field<bigint> {
  return {name, read: (reader) => reader.int64(), zero: 0n}
}

export function list<T>(name: string, item: Read<T>): Field<readonly T[]> {
  return {name, read: (reader) => readList(reader, item), zero: []}
}

export function mac(name: string): Field<Mac | undefined> {
  return {name, read: (reader) => reader.mac(), zero: undefined}
}

export function nested<T>(name: string, read: Read<T>, zero: T): Field<T> {
  return {name, read, zero}
}

export function text(name: string): Field<string> {
  return {name, read: (reader) => reader.string(), zero: ''}
}

export function texts(name: string): Field<readonly string[]> {
  return list(name, (reader) => reader.string())
}

export function time(name: string): Field<Timestamp> {
  return {name, read: (reader) => reader.timestamp() ?? EPOCH, zero: EPOCH}
}

export function uint32(name: string): Field<number> {
  return {name, read: (reader) => reader.uint32(), zero: 0}
}

export function readList<T>(reader: MsgpackReader, item: Read<T>): T[] {
  const items: T[] = []
  for (let left = reader.arrayHeader(); left > 0; left--) items.push(item(reader))
  return items
}
