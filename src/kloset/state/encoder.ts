import type {Mac} from '../mac.js'
import type {Version} from '../version.js'

import {InvalidArgumentError} from '../../errors.js'
import {macToBytes} from '../mac.js'
import {makeVersion} from '../version.js'
import {
  COLOURED_BYTES,
  type ConfigurationEntry,
  DELETE_BYTES,
  ENTRY_TYPES,
  MAX_CONFIGURATION_BYTES,
  type MetadataEntry,
  NIL_MAC,
  PACKFILE_BYTES,
  type StateEntry,
  timestampToNanos,
} from './entries.js'

/** The version that states are written in: the newest that plakar v1.1 reads. */
export const STATE_VERSION: Version = makeVersion(1, 1, 0)

/** What is gathered before it is given out. */
const SLICE_BYTES = 64 * 1024

export type WritableEntry = Exclude<StateEntry, {readonly kind: 'metadata' | 'unknown'}>

export interface StateToEncode {
  /** What is taken back comes first, then the rest in any order. */
  readonly entries: Iterable<WritableEntry>
  readonly metadata: Pick<MetadataEntry, 'serial' | 'timestamp'>
  /** The state that this one follows; none by default. */
  readonly parent?: Mac | undefined
}

/**
 * A state's data in version 1.1.0, in slices: what `Codec.encode` and the envelope go around.
 * @throws InvalidArgumentError when an entry does not fit its fields
 * @see kloset repository/state/state.go `SerializeToStream`
 */
export function* encodeState({entries, metadata, parent = NIL_MAC}: StateToEncode): Generator<Buffer> {
  if (metadata.serial.length !== 16) throw new InvalidArgumentError('a serial has 16 bytes')
  let parts: Buffer[] = [macToBytes(parent)]
  let size = 0
  for (const entry of entries) {
    const bytes = encodeEntry(entry)
    parts.push(bytes)
    size += bytes.length
    if (size < SLICE_BYTES) continue
    yield Buffer.concat(parts)
    parts = []
    size = 0
  }

  const end = Buffer.alloc(29)
  end.writeUInt8(ENTRY_TYPES.metadata)
  end.writeUInt32LE(STATE_VERSION, 1)
  end.writeBigInt64LE(timestampToNanos(metadata.timestamp), 5)
  metadata.serial.copy(end, 13)
  yield Buffer.concat([...parts, end])
}

function encodeConfiguration({createdAt, key, value}: ConfigurationEntry): Buffer {
  const keyBytes = Buffer.from(key)
  const length = 1 + keyBytes.length + 2 + value.length + 8
  if (keyBytes.length > 255 || value.length > 65_535 || length > MAX_CONFIGURATION_BYTES) {
    throw new InvalidArgumentError(`configuration entry "${key.slice(0, 40)}" is too long`)
  }

  const body = Buffer.alloc(length)
  body.writeUInt8(keyBytes.length)
  keyBytes.copy(body, 1)
  body.writeUInt16LE(value.length, 1 + keyBytes.length)
  value.copy(body, 3 + keyBytes.length)
  body.writeBigInt64LE(timestampToNanos(createdAt), length - 8)
  return withHeader(ENTRY_TYPES.configuration, body)
}

function encodeEntry(entry: WritableEntry): Buffer {
  switch (entry.kind) {
    case 'coloured': {
      const body = Buffer.alloc(COLOURED_BYTES)
      body.writeUInt8(entry.type)
      body.write(entry.mac, 1, 'hex')
      body.writeBigInt64LE(timestampToNanos(entry.when), 33)
      return withHeader(ENTRY_TYPES.coloured, body)
    }

    case 'configuration': {
      return encodeConfiguration(entry)
    }

    case 'delete': {
      const body = Buffer.alloc(DELETE_BYTES)
      body.writeUInt8(ENTRY_TYPES[entry.entry])
      body.writeUInt8(entry.type, 1)
      body.write(entry.mac, 2, 'hex')
      body.write(entry.packfile, 34, 'hex')
      return withHeader(ENTRY_TYPES.delete, body)
    }

    case 'location': {
      return withHeader(ENTRY_TYPES.location, entry.record)
    }

    case 'packfile': {
      const body = Buffer.alloc(PACKFILE_BYTES)
      body.write(entry.packfile, 0, 'hex')
      body.write(entry.state, 32, 'hex')
      body.writeBigInt64LE(timestampToNanos(entry.timestamp), 64)
      return withHeader(ENTRY_TYPES.packfile, body)
    }

    default: {
      throw new InvalidArgumentError(`no such entry: ${String(entry satisfies never)}`)
    }
  }
}

function withHeader(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(5)
  header.writeUInt8(type)
  header.writeUInt32LE(body.length, 1)
  return Buffer.concat([header, body])
}
