import {StoreFormatError} from '../errors.js'

/** A moment to the nanosecond, which a Date cannot hold. Seconds may be negative; nanoseconds are 0 to 999,999,999. */
export interface Timestamp {
  readonly nanoseconds: number
  readonly seconds: number
}

const NANOS_PER_MILLI = 1_000_000
const MAX_NANOSECONDS = 999_999_999

/** Seconds that a Date can hold. */
const MAX_SECONDS = 8_640_000_000_000

export function timestampFromMillis(millis: number): Timestamp {
  const seconds = Math.floor(millis / 1000)
  return {nanoseconds: Math.floor(millis - seconds * 1000) * NANOS_PER_MILLI, seconds}
}

/** Milliseconds since the epoch, rounded down. */
export function timestampToMillis({nanoseconds, seconds}: Timestamp): number {
  return seconds * 1000 + Math.floor(nanoseconds / NANOS_PER_MILLI)
}

/** RFC 3339 in UTC with all nine digits, or none when there is no fraction. */
export function formatTimestamp({nanoseconds, seconds}: Timestamp): string {
  const base = new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, '')
  return nanoseconds === 0 ? `${base}Z` : `${base}.${String(nanoseconds).padStart(9, '0')}Z`
}

/**
 * Reads the payload of a msgpack timestamp (extension -1): 4, 8 or 12 bytes, big-endian.
 * @throws StoreFormatError
 * @see https://github.com/msgpack/msgpack/blob/master/spec.md#timestamp-extension-type
 */
export function decodeTimestamp(payload: Uint8Array): Timestamp {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const {nanoseconds, seconds} = splitTimestamp(bytes)
  if (nanoseconds > MAX_NANOSECONDS) throw new StoreFormatError(`timestamp with ${nanoseconds} nanoseconds`)
  if (Math.abs(seconds) > MAX_SECONDS) throw new StoreFormatError(`timestamp with ${seconds} seconds`)
  return {nanoseconds, seconds}
}

function splitTimestamp(bytes: Buffer): Timestamp {
  switch (bytes.length) {
    case 4: {
      return {nanoseconds: 0, seconds: bytes.readUInt32BE()}
    }

    case 8: {
      const both = bytes.readBigUInt64BE()
      return {nanoseconds: Number(both / 2n ** 34n), seconds: Number(both % 2n ** 34n)}
    }

    case 12: {
      return {nanoseconds: bytes.readUInt32BE(), seconds: Number(bytes.readBigInt64BE(4))}
    }

    default: {
      throw new StoreFormatError(`timestamp of ${bytes.length} bytes`)
    }
  }
}

/** The shortest payload that holds the moment, as every msgpack writer chooses it. */
export function encodeTimestamp({nanoseconds, seconds}: Timestamp): Buffer {
  if (seconds < 0 || seconds >= 2 ** 34) {
    const bytes = Buffer.alloc(12)
    bytes.writeUInt32BE(nanoseconds)
    bytes.writeBigInt64BE(BigInt(seconds), 4)
    return bytes
  }

  if (nanoseconds === 0 && seconds < 2 ** 32) {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(seconds)
    return bytes
  }

  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(nanoseconds) * 2n ** 34n + BigInt(seconds))
  return bytes
}
