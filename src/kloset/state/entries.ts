import type {BlobType} from '../blob-type.js'
import type {Version} from '../version.js'

import {StoreFormatError} from '../../errors.js'
import {type Mac, MAC_BYTES, macFromBytes} from '../mac.js'
import {type Timestamp} from '../timestamp.js'

/** The parent of a state that has none. */
export const NIL_MAC = '0'.repeat(2 * MAC_BYTES) as Mac

/** @see kloset repository/state/state.go `EntryType` */
export const ENTRY_TYPES = {coloured: 3, configuration: 5, delete: 6, location: 2, metadata: 1, packfile: 4} as const

/** Bytes of the entries that always have the same. */
export const COLOURED_BYTES = 41
export const DELETE_BYTES = 66
export const LOCATION_BYTES = 85
export const PACKFILE_BYTES = 72
/** A key of a byte's length, a value of a word's, and the time. */
export const MAX_CONFIGURATION_BYTES = 1 + 255 + 2 + 65_535 + 8

const NANOS_PER_SECOND = 1_000_000_000n
/** Offsets keep to 48 bits: 256 TiB into one packfile. */
const MAX_OFFSET_HIGH = 2 ** 16

/** A packfile is known from now on; the state that made it known is named. */
export interface PackfileEntry {
  readonly kind: 'packfile'
  readonly packfile: Mac
  readonly state: Mac
  readonly timestamp: Timestamp
}

/** A snapshot or packfile is deleted; what it held may go after a time of grace. */
export interface ColouredEntry {
  readonly kind: 'coloured'
  readonly mac: Mac
  readonly type: BlobType
  readonly when: Timestamp
}

export interface ConfigurationEntry {
  readonly createdAt: Timestamp
  readonly key: string
  readonly kind: 'configuration'
  readonly value: Buffer
}

/** An entry of an earlier state is taken back. */
export interface DeleteEntry {
  /** What kind of entry: its number is one of `ENTRY_TYPES`. */
  readonly entry: 'coloured' | 'location' | 'packfile'
  readonly kind: 'delete'
  readonly mac: Mac
  /** Of a location or packfile. */
  readonly packfile: Mac
  readonly type: BlobType
}

/** What ends a state. */
export interface MetadataEntry {
  readonly kind: 'metadata'
  /** 16 bytes. States of one lineage have the same; the first one's is the store's identifier. */
  readonly serial: Buffer
  readonly timestamp: Timestamp
  readonly version: Version
}

/** An entry of a kind that this program does not know: skipped, as kloset does. */
export interface UnknownEntry {
  readonly entryType: number
  readonly kind: 'unknown'
  readonly length: number
}

/**
 * Where a blob lies: its fields are read out of the record when they are asked for, since states have millions.
 * The record is a view: it is good until the decoder gets more bytes, unless it is copied.
 */
export class LocationEntry {
  readonly kind = 'location'
  readonly record: Buffer

  /** @throws StoreFormatError unless the record is 85 bytes with an offset that a number holds exactly */
  constructor(record: Buffer) {
    if (record.length !== LOCATION_BYTES) throw new StoreFormatError(`a location has ${LOCATION_BYTES} bytes`)
    if (record.readUInt32LE(73) >= MAX_OFFSET_HIGH) throw new StoreFormatError('a location lies beyond any packfile')
    this.record = record
  }

  static of(fields: LocationFields): LocationEntry {
    const record = Buffer.alloc(LOCATION_BYTES)
    record.writeUInt8(fields.type)
    record.writeUInt32LE(fields.version, 1)
    record.write(fields.mac, 5, 'hex')
    record.write(fields.packfile, 37, 'hex')
    record.writeBigUInt64LE(BigInt(fields.offset), 69)
    record.writeUInt32LE(fields.length, 77)
    record.writeUInt32LE(fields.flags, 81)
    return new LocationEntry(record)
  }

  get flags(): number {
    return this.record.readUInt32LE(81)
  }

  get length(): number {
    return this.record.readUInt32LE(77)
  }

  get mac(): Mac {
    return macFromBytes(this.record.subarray(5, 37))
  }

  /** From the beginning of the packfile's data, not counting the envelope's header. */
  get offset(): number {
    return this.record.readUInt32LE(69) + this.record.readUInt32LE(73) * 2 ** 32
  }

  get packfile(): Mac {
    return macFromBytes(this.record.subarray(37, 69))
  }

  get type(): BlobType {
    return this.record.readUInt8()
  }

  get version(): Version {
    return this.record.readUInt32LE(1)
  }
}

export interface LocationFields {
  readonly flags: number
  readonly length: number
  readonly mac: Mac
  readonly offset: number
  readonly packfile: Mac
  readonly type: BlobType
  readonly version: Version
}

export type StateEntry =
  ColouredEntry | ConfigurationEntry | DeleteEntry | LocationEntry | MetadataEntry | PackfileEntry | UnknownEntry

/** @param nanos since the epoch, as Go counts */
export function timestampFromNanos(nanos: bigint): Timestamp {
  const nanoseconds = ((nanos % NANOS_PER_SECOND) + NANOS_PER_SECOND) % NANOS_PER_SECOND
  return {nanoseconds: Number(nanoseconds), seconds: Number((nanos - nanoseconds) / NANOS_PER_SECOND)}
}

export function timestampToNanos({nanoseconds, seconds}: Timestamp): bigint {
  return BigInt(seconds) * NANOS_PER_SECOND + BigInt(nanoseconds)
}
