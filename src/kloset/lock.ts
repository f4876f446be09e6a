import {StoreFormatError, VersionError} from '../errors.js'
import {KNOWN_VERSIONS, unknownVersion} from './envelope.js'
import {MsgpackWriter} from './msgpack-writer.js'
import {decodeMsgpack, MsgpackFields} from './msgpack.js'
import {type Timestamp, timestampToMillis} from './timestamp.js'
import {formatVersion, type Version} from './version.js'

/** A holder writes its lock anew this often. @see kloset repository/lock.go */
export const LOCK_REFRESH_MS = 5 * 60 * 1000

/** A lock this old has no holder any more: plakar ignores it. */
export const LOCK_TTL_MS = 2 * LOCK_REFRESH_MS

/** More than a lock's data can be; its host name is the only thing that varies. */
export const MAX_LOCK_BYTES = 64 * 1024

const MAX_UINT32 = 2 ** 32 - 1
const LIMITS = {maxCount: 16, maxLength: 4096}

/** Who works on the store, and since when it was last heard of. */
export interface Lock {
  /** True for maintenance, which wants the store alone. */
  readonly exclusive: boolean
  readonly hostname: string
  readonly timestamp: Timestamp
  readonly version: Version
}

/**
 * Decodes a lock's data, out of its envelope and decoded as the store encodes it.
 * @throws StoreFormatError | VersionError
 */
export function decodeLock(data: Uint8Array, what: string): Lock {
  if (data.length > MAX_LOCK_BYTES) {
    throw new StoreFormatError(`${what}: ${data.length} bytes are no lock`, {facts: {size: data.length}})
  }

  const fields = new MsgpackFields(decodeMsgpack(data, what, LIMITS), what)
  const version = fields.uint('version', MAX_UINT32)
  if (!KNOWN_VERSIONS.lock.includes(version)) throw unknownVersion('lock', version, what)
  return {
    exclusive: fields.bool('exclusive'),
    hostname: fields.string('hostname'),
    timestamp: fields.timestamp('timestamp'),
    version,
  }
}

/** A lock's data as kloset writes it. */
export function encodeLock({exclusive, hostname, timestamp, version}: Lock): Buffer {
  if (!KNOWN_VERSIONS.lock.includes(version)) {
    throw new VersionError(`lock version ${formatVersion(version)} cannot be written`)
  }

  const out = new MsgpackWriter().map(4)
  out.string('version').uint32(version)
  out.string('timestamp').timestamp(timestamp)
  out.string('hostname').string(hostname)
  out.string('exclusive').bool(exclusive)
  return out.bytes()
}

/** Milliseconds since the lock was last refreshed; negative when its clock is ahead of ours. */
export function lockAge({timestamp}: Lock, now: number): number {
  return now - timestampToMillis(timestamp)
}

/** Whether its holder is gone. */
export function isStale(lock: Lock, now: number): boolean {
  return lockAge(lock, now) >= LOCK_TTL_MS
}
