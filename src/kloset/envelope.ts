import {StoreFormatError, VersionError} from '../errors.js'
import {type Hasher, sameMac} from './hashing.js'
import {MAC_BYTES} from './mac.js'
import {RESOURCE_NAMES, type ResourceName} from './resource.js'
import {formatVersion, makeVersion, type Version} from './version.js'

/**
 * The envelope of every stored object: a header of 16 bytes, the data, a MAC of 32 bytes over both.
 * @see kloset connectors/storage/serialization.go
 */
export const HEADER_BYTES = 16
export const ENVELOPE_BYTES = HEADER_BYTES + MAC_BYTES

/** The second is what stores were marked with before the format got its name; its readers still take it. */
const MAGICS = new Set(['_KLOSET_', '_PLAKAR_'])

/** Numbers of the resource types that a store keeps in envelopes. @see kloset resources/resources.go */
export const RESOURCE_TYPES: Readonly<Record<ResourceName, number>> = {config: 1, lock: 2, packfile: 4, state: 3}

/** Versions whose content this program knows how to read. */
export const KNOWN_VERSIONS: Readonly<Record<ResourceName, readonly Version[]>> = {
  config: [makeVersion(1, 0, 0)],
  lock: [makeVersion(1, 0, 0)],
  packfile: [makeVersion(1, 0, 0)],
  state: [makeVersion(1, 0, 0), makeVersion(1, 1, 0)],
}

export interface EnvelopeHeader {
  readonly type: number
  readonly version: Version
}

/** The resource that a type number stands for, if it is one that a store keeps in envelopes. */
export function resourceOfType(type: number): ResourceName | undefined {
  return RESOURCE_NAMES.find((name) => RESOURCE_TYPES[name] === type)
}

/**
 * Reads a header without judging its type and version.
 * @param what names the object in errors
 * @throws StoreFormatError when the bytes are too few or do not begin as an envelope does
 */
export function parseHeader(bytes: Uint8Array, what: string): EnvelopeHeader {
  if (bytes.length < HEADER_BYTES) {
    throw new StoreFormatError(`${what}: ended after ${bytes.length} bytes, a header has ${HEADER_BYTES}`, {
      facts: {actualSize: bytes.length, expectedSize: HEADER_BYTES},
    })
  }

  const header = Buffer.from(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  if (!MAGICS.has(header.toString('latin1', 0, 8))) {
    throw new StoreFormatError(`${what}: not a Kloset object, it begins with ${header.toString('hex', 0, 8)}`, {
      facts: {actual: header.toString('hex', 0, 8)},
    })
  }

  return {type: header.readUInt32LE(8), version: header.readUInt32LE(12)}
}

/**
 * @throws StoreFormatError when the header is another resource's
 * @throws VersionError when its version is not one that this program knows
 */
export function checkHeader({type, version}: EnvelopeHeader, resource: ResourceName, what: string): void {
  if (type !== RESOURCE_TYPES[resource]) {
    const actual = resourceOfType(type) ?? `type ${type}`
    throw new StoreFormatError(`${what}: holds a ${actual}, expected a ${resource}`, {
      facts: {actual, expected: resource},
    })
  }

  if (!KNOWN_VERSIONS[resource].includes(version)) throw unknownVersion(resource, version, what)
}

export function unknownVersion(resource: ResourceName, version: Version, what: string): VersionError {
  const known = KNOWN_VERSIONS[resource].map((one) => formatVersion(one)).join(', ')
  return new VersionError(`${what}: ${resource} version ${formatVersion(version)} is not known, only ${known}`, {
    facts: {actual: formatVersion(version), expected: known, resource},
    suggestions: ['Update kloset-oci: the store was written by a newer plakar, perhaps.'],
  })
}

/**
 * Checks envelopes as their bytes pass by, in any slices, with the memory of one header and one MAC.
 * `finish` ends it.
 */
export class EnvelopeChecker {
  readonly #hasher: Hasher | undefined
  readonly #head = Buffer.alloc(HEADER_BYTES)
  #size = 0
  /** The last bytes seen: the MAC, once everything has passed. */
  #tail: Buffer = Buffer.alloc(0)

  /** @param hasher a fresh one, keyed for the object; none when the key is not known: then only the header is read */
  constructor(hasher?: Hasher) {
    this.#hasher = hasher
  }

  /** Bytes seen so far. */
  get size(): number {
    return this.#size
  }

  /**
   * @returns the header, and whether the MAC is right (undefined without a key)
   * @throws StoreFormatError when the bytes are no envelope
   */
  finish(what: string): EnvelopeHeader & {readonly authentic: boolean | undefined; readonly mac: Buffer} {
    const header = parseHeader(this.#head.subarray(0, Math.min(this.#size, HEADER_BYTES)), what)
    if (this.#size < ENVELOPE_BYTES) {
      throw new StoreFormatError(`${what}: has ${this.#size} bytes, an envelope has at least ${ENVELOPE_BYTES}`, {
        facts: {actualSize: this.#size, expectedSize: ENVELOPE_BYTES},
      })
    }

    const mac = this.#tail
    return {...header, authentic: this.#hasher && sameMac(this.#hasher.digest(), mac), mac}
  }

  /** The header once its bytes have passed. @throws StoreFormatError when it is not one */
  header(what: string): EnvelopeHeader | undefined {
    return this.#size < HEADER_BYTES ? undefined : parseHeader(this.#head, what)
  }

  update(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    if (this.#size < HEADER_BYTES) bytes.copy(this.#head, this.#size)
    this.#size += bytes.length
    if (bytes.length >= MAC_BYTES) {
      this.#hash(this.#tail)
      this.#hash(bytes.subarray(0, bytes.length - MAC_BYTES))
      this.#tail = Buffer.from(bytes.subarray(bytes.length - MAC_BYTES))
      return
    }

    const joined = Buffer.concat([this.#tail, bytes])
    const over = Math.max(0, joined.length - MAC_BYTES)
    this.#hash(joined.subarray(0, over))
    this.#tail = joined.subarray(over)
  }

  #hash(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#hasher?.update(bytes)
  }
}

/** Cuts the data out of an envelope of known size as its bytes pass by. */
export class EnvelopeWindow {
  readonly #end: number
  #offset = 0

  constructor(envelopeSize: number) {
    this.#end = envelopeSize - MAC_BYTES
  }

  /** What of the chunk is data; empty when nothing is. */
  cut(chunk: Buffer): Buffer {
    const start = Math.min(chunk.length, Math.max(0, HEADER_BYTES - this.#offset))
    const end = Math.max(start, Math.min(chunk.length, this.#end - this.#offset))
    this.#offset += chunk.length
    return chunk.subarray(start, end)
  }
}

export interface OpenEnvelopeOptions {
  /** Fresh and keyed for the object; none leaves the MAC unchecked. */
  readonly hasher?: Hasher | undefined
  readonly resource: ResourceName
  /** Names the object in errors. */
  readonly what: string
}

/**
 * The data of an envelope in memory.
 * @throws StoreFormatError when it is not one, holds another resource, or its MAC is wrong
 * @throws VersionError
 */
export function openEnvelope(
  bytes: Uint8Array,
  {hasher, resource, what}: OpenEnvelopeOptions,
): {readonly data: Buffer; readonly version: Version} {
  const checker = new EnvelopeChecker(hasher)
  checker.update(bytes)
  const {authentic, mac, type, version} = checker.finish(what)
  // The MAC first: of a header that is not authentic nothing else is worth saying.
  if (authentic === false) {
    throw new StoreFormatError(`${what}: MAC does not match its content`, {
      facts: {found: mac.toString('hex'), resource},
      suggestions: ['It was damaged, or made with another key: check the passphrase and that it is this store.'],
    })
  }

  checkHeader({type, version}, resource, what)
  const data = Buffer.from(bytes.buffer, bytes.byteOffset + HEADER_BYTES, bytes.byteLength - ENVELOPE_BYTES)
  return {data, version}
}

export interface SealOptions {
  /** Fresh and keyed for the object. */
  readonly hasher: Hasher
  readonly resource: ResourceName
  readonly version: Version
}

/** Puts data into an envelope. */
export function sealEnvelope(data: Uint8Array, {hasher, resource, version}: SealOptions): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write('_KLOSET_', 'latin1')
  header.writeUInt32LE(RESOURCE_TYPES[resource], 8)
  header.writeUInt32LE(version, 12)
  hasher.update(header)
  hasher.update(data)
  return Buffer.concat([header, data, hasher.digest()])
}
