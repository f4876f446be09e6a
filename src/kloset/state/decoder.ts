import type {Mac} from '../mac.js'
import type {Version} from '../version.js'

import {StoreFormatError} from '../../errors.js'
import {KNOWN_VERSIONS, unknownVersion} from '../envelope.js'
import {MAC_BYTES, macFromBytes} from '../mac.js'
import {makeVersion} from '../version.js'
import {
  COLOURED_BYTES,
  type ConfigurationEntry,
  DELETE_BYTES,
  type DeleteEntry,
  ENTRY_TYPES,
  LOCATION_BYTES,
  LocationEntry,
  MAX_CONFIGURATION_BYTES,
  type MetadataEntry,
  PACKFILE_BYTES,
  type StateEntry,
  timestampFromNanos,
} from './entries.js'

/** From this version on a state begins with its parent. */
const VERSION_WITH_PARENT = makeVersion(1, 1, 0)

/** The type and the length before an entry; metadata has the type alone. */
const HEADER_BYTES = 5
const METADATA_BYTES = 29
const MIN_CONFIGURATION_BYTES = 11

/** Bytes that every entry of a type has. */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [ENTRY_TYPES.coloured, COLOURED_BYTES],
  [ENTRY_TYPES.delete, DELETE_BYTES],
  [ENTRY_TYPES.location, LOCATION_BYTES],
  [ENTRY_TYPES.packfile, PACKFILE_BYTES],
])

const DELETED: ReadonlyMap<number, DeleteEntry['entry']> = new Map([
  [ENTRY_TYPES.coloured, 'coloured'],
  [ENTRY_TYPES.location, 'location'],
  [ENTRY_TYPES.packfile, 'packfile'],
])

/**
 * Decodes a state's data as it comes in, an entry at a time: memory does not grow with the state.
 * What it yields is not proven by the envelope's MAC before everything has passed through that.
 * @see kloset repository/state/state.go `deserializeFromStream`
 */
export class StateDecoder {
  #awaitsParent: boolean
  #metadata: MetadataEntry | undefined
  #parent: Mac | undefined
  #rest = Buffer.alloc(0)
  /** Bytes to come of an entry of an unknown type. */
  #skip = 0
  readonly #what: string

  /**
   * @param what names the state in errors
   * @throws VersionError when the state's version is not one that this program knows
   */
  constructor(version: Version, what: string) {
    if (!KNOWN_VERSIONS.state.includes(version)) throw unknownVersion('state', version, what)
    this.#awaitsParent = version >= VERSION_WITH_PARENT
    this.#what = what
  }

  /** Whether the state names its parent and has not come to it yet. */
  get awaitsParent(): boolean {
    return this.#awaitsParent
  }

  /** The state that this one follows, once its bytes have come: undefined before, and in version 1.0.0. */
  get parent(): Mac | undefined {
    return this.#parent
  }

  /** @returns what the state ended with. @throws StoreFormatError when it is not complete */
  end(): MetadataEntry {
    if (!this.#metadata) throw this.#unsound('ended before its metadata')
    return this.#metadata
  }

  /** Entries that these and the bytes before them complete. @throws StoreFormatError */
  *push(chunk: Uint8Array): Generator<StateEntry> {
    const bytes = this.#withRest(chunk)
    let at = 0
    if (this.#awaitsParent) {
      if (bytes.length < MAC_BYTES) return this.#keep(bytes)
      this.#parent = macFromBytes(bytes.subarray(0, MAC_BYTES))
      this.#awaitsParent = false
      at = MAC_BYTES
    }

    for (;;) {
      const skipped = Math.min(this.#skip, bytes.length - at)
      this.#skip -= skipped
      at += skipped
      if (at === bytes.length) return
      if (this.#metadata) throw this.#unsound('goes on behind its metadata')
      const size = this.#sizeAt(bytes, at)
      if (size === undefined || at + size > bytes.length) return this.#keep(bytes.subarray(at))
      const entry = this.#decode(bytes.subarray(at, at + size))
      at += size
      if (entry.kind === 'metadata') this.#metadata = entry
      if (entry.kind === 'unknown') this.#skip = entry.length
      yield entry
    }
  }

  #configuration(body: Buffer): ConfigurationEntry {
    const keyEnd = 1 + body[0]!
    const valueEnd = keyEnd + 2 + (body.length < keyEnd + 2 ? 0 : body.readUInt16LE(keyEnd))
    if (body.length !== valueEnd + 8) throw this.#unsound('has a configuration entry whose lengths do not add up')
    return {
      createdAt: timestampFromNanos(body.readBigInt64LE(valueEnd)),
      key: body.toString('utf8', 1, keyEnd),
      kind: 'configuration',
      value: Buffer.from(body.subarray(keyEnd + 2, valueEnd)),
    }
  }

  /** @param bytes a whole entry with its header; of an unknown one only the header */
  #decode(bytes: Buffer): StateEntry {
    const type = bytes[0]!
    const body = bytes.subarray(HEADER_BYTES)
    switch (type) {
      case ENTRY_TYPES.coloured: {
        return {
          kind: 'coloured',
          mac: macFromBytes(body.subarray(1, 33)),
          type: body[0]!,
          when: timestampFromNanos(body.readBigInt64LE(33)),
        }
      }

      case ENTRY_TYPES.configuration: {
        return this.#configuration(body)
      }

      case ENTRY_TYPES.delete: {
        const entry = DELETED.get(body[0]!)
        if (!entry) throw this.#unsound(`deletes an entry of type ${body[0]}, which cannot be deleted`)
        return {
          entry,
          kind: 'delete',
          mac: macFromBytes(body.subarray(2, 34)),
          packfile: macFromBytes(body.subarray(34)),
          type: body[1]!,
        }
      }

      case ENTRY_TYPES.location: {
        return new LocationEntry(body)
      }

      case ENTRY_TYPES.metadata: {
        return {
          kind: 'metadata',
          serial: Buffer.from(bytes.subarray(13)),
          timestamp: timestampFromNanos(bytes.readBigInt64LE(5)),
          version: bytes.readUInt32LE(1),
        }
      }

      case ENTRY_TYPES.packfile: {
        return {
          kind: 'packfile',
          packfile: macFromBytes(body.subarray(0, 32)),
          state: macFromBytes(body.subarray(32, 64)),
          timestamp: timestampFromNanos(body.readBigInt64LE(64)),
        }
      }

      default: {
        return {entryType: type, kind: 'unknown', length: bytes.readUInt32LE(1)}
      }
    }
  }

  /** Copies: the chunk is the caller's. */
  #keep(rest: Buffer): void {
    this.#rest = Buffer.from(rest)
  }

  /** Bytes of the entry at a place, headers included; undefined while that cannot be told. */
  #sizeAt(bytes: Buffer, at: number): number | undefined {
    const type = bytes[at]!
    if (type === ENTRY_TYPES.metadata) return METADATA_BYTES
    if (at + HEADER_BYTES > bytes.length) return undefined
    const length = bytes.readUInt32LE(at + 1)
    const fixed = FIXED_BYTES.get(type)
    const configuration = type === ENTRY_TYPES.configuration
    if (fixed === undefined && !configuration) return HEADER_BYTES
    const fits = configuration
      ? length >= MIN_CONFIGURATION_BYTES && length <= MAX_CONFIGURATION_BYTES
      : length === fixed
    if (!fits) throw this.#unsound(`has an entry of type ${type} with ${length} bytes`)
    return HEADER_BYTES + length
  }

  #unsound(how: string): StoreFormatError {
    return new StoreFormatError(`${this.#what}: ${how}`)
  }

  #withRest(chunk: Uint8Array): Buffer {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    if (this.#rest.length === 0) return bytes
    const joined = Buffer.concat([this.#rest, bytes])
    this.#rest = Buffer.alloc(0)
    return joined
  }
}

/**
 * The entries of a state, from the decoded data of its envelope. The last one is its metadata.
 * @throws StoreFormatError | VersionError, and whatever the source throws
 */
export async function* decodeState(
  source: AsyncIterable<Uint8Array>,
  version: Version,
  what: string,
): AsyncGenerator<StateEntry> {
  const decoder = new StateDecoder(version, what)
  for await (const chunk of source) yield* decoder.push(chunk)
  decoder.end()
}
