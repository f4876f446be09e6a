import type {Codec} from './codec/codec.js'
import type {Timestamp} from './timestamp.js'
import type {Version} from './version.js'

import {IntegrityError, StoreFormatError} from '../errors.js'
import {BLOB_TYPES, type BlobType, blobTypeName} from './blob-type.js'
import {MAX_BLOB_BYTES} from './codec/codec.js'
import {inContext} from './codec/context.js'
import {ENVELOPE_BYTES, HEADER_BYTES} from './envelope.js'
import {type Hasher, sameMac} from './hashing.js'
import {type Mac, MAC_BYTES, macFromBytes, macToBytes} from './mac.js'
import {timestampFromNanos} from './state/entries.js'

/** Bytes of a record of the index, and of the footer, before they are encoded. */
export const RECORD_BYTES = 56
export const FOOTER_BYTES = 56

/** The length of the encoded footer, in the last bytes of the data. */
export const FOOTER_LENGTH_BYTES = 4

/** More than 56 bytes ever become by compression and encryption. */
const MAX_ENCODED_FOOTER_BYTES = 4096

/** What is read at first, from the end: index and footer of most packfiles. */
const TAIL_BYTES = 64 * 1024

/** Types whose MAC is not their content's: an identifier, or random. */
const NAMED_OTHERWISE: ReadonlySet<BlobType> = new Set([BLOB_TYPES.random, BLOB_TYPES.signature, BLOB_TYPES.snapshot])

/** Reads `length` bytes of the stored object from `offset`, envelope included: all of them or it throws. */
export type ReadAt = (offset: number, length: number) => Promise<Buffer>

/** One blob of a packfile, as the index describes it. */
export interface PackfileBlob {
  readonly flags: number
  /** Bytes as they are encoded. */
  readonly length: number
  readonly mac: Mac
  /** From the beginning of the data: the envelope's header is not counted. */
  readonly offset: number
  readonly type: BlobType
  readonly version: Version
}

export interface PackfileFooter {
  readonly count: number
  readonly flags: number
  readonly indexMac: Mac
  /** Where the encoded index begins, from the beginning of the data. */
  readonly indexOffset: number
  readonly timestamp: Timestamp
}

/** What reading a packfile takes of its store. */
export interface PackfileKeys {
  readonly codec: Codec
  /** Keyed as the store's MACs are; it is reset before each use. */
  readonly hasher: Hasher
}

export interface PackfileSource extends PackfileKeys {
  /** Whether `readAt` gives views of what is in memory anyway: then it is asked once, for everything. */
  readonly isInMemory?: boolean | undefined
  readonly readAt: ReadAt
  /** Bytes of the stored object, envelope included. */
  readonly size: number
  /** Names the packfile in errors. */
  readonly what: string
}

/** Blobs by their records, as an index has them: each is decoded when it is asked for. */
export class PackfileRecords {
  readonly #records: Buffer

  constructor(records: Buffer) {
    this.#records = records
  }

  get length(): number {
    return this.#records.length / RECORD_BYTES
  }

  at(number: number): PackfileBlob {
    return decodeRecord(this.#records, number * RECORD_BYTES)
  }

  *[Symbol.iterator](): Generator<PackfileBlob> {
    for (let number = 0; number < this.length; number++) yield this.at(number)
  }
}

/** The index of a packfile: 56 bytes a blob, read out when they are asked for. */
export class PackfileIndex extends PackfileRecords {
  readonly footer: PackfileFooter

  /** @param records decoded and checked */
  constructor(footer: PackfileFooter, records: Buffer) {
    super(records)
    this.footer = footer
  }
}

/** Writes the record of a blob, as it stands in an index: `RECORD_BYTES`. */
export function writeRecord(target: Buffer, blob: PackfileBlob, at: number): void {
  const {flags, length, mac, offset, type, version} = blob
  target.writeUInt32LE(type, at)
  target.writeUInt32LE(version, at + 4)
  target.write(mac, at + 8, 'hex')
  target.writeBigUInt64LE(BigInt(offset), at + 40)
  target.writeUInt32LE(length, at + 48)
  target.writeUInt32LE(flags, at + 52)
}

/**
 * Reads the footer and index of a packfile, mostly with one read from its end, and checks all that they say.
 * @throws StoreFormatError | IntegrityError when they are not sound, and whatever `readAt` throws
 * @see kloset repository/repository.go `GetPackfile`
 */
export async function readPackfileIndex(source: PackfileSource): Promise<PackfileIndex> {
  const {isInMemory = false, readAt, size, what} = source
  if (size < ENVELOPE_BYTES + FOOTER_LENGTH_BYTES) {
    throw new StoreFormatError(`${what}: has ${size} bytes, too few for a packfile`, {facts: {actualSize: size}})
  }

  const dataEnd = size - MAC_BYTES
  const tailStart = isInMemory ? HEADER_BYTES : Math.max(HEADER_BYTES, dataEnd - TAIL_BYTES)
  const tail = await readAt(tailStart, dataEnd - tailStart)
  const footerLength = tail.readUInt32LE(tail.length - FOOTER_LENGTH_BYTES)
  const footerEnd = tail.length - FOOTER_LENGTH_BYTES
  if (footerLength > Math.min(MAX_ENCODED_FOOTER_BYTES, footerEnd)) {
    throw new StoreFormatError(`${what}: a footer of ${footerLength} bytes does not fit`)
  }

  const footer = decodeFooter(tail.subarray(footerEnd - footerLength, footerEnd), source)
  const indexStart = HEADER_BYTES + footer.indexOffset
  const indexEnd = tailStart + footerEnd - footerLength
  if (indexStart > indexEnd) throw new StoreFormatError(`${what}: the index would begin behind its end`)
  const inTail = tail.subarray(Math.max(0, indexStart - tailStart), indexEnd - tailStart)
  if (isInMemory) return new PackfileIndex(footer, decodeIndex(inTail, footer, source))
  const before = indexStart < tailStart ? [await readAt(indexStart, tailStart - indexStart)] : []
  return new PackfileIndex(footer, decodeIndex(Buffer.concat([...before, inTail]), footer, source))
}

/** Whether a blob's MAC is that of its content. Padding, snapshots and signatures are named otherwise. */
export function isNamedByContent(type: BlobType): boolean {
  return !NAMED_OTHERWISE.has(type)
}

export interface DecodeBlobOptions extends PackfileKeys {
  /** What it may decode to; default `MAX_BLOB_BYTES`. */
  readonly maxBytes?: number | undefined
  /** Names the packfile or whatever the blob lies in. */
  readonly what: string
}

/**
 * A blob's content, checked against its MAC where that is one.
 * @param bytes as they lie in the packfile
 * @throws IntegrityError when the content is not what the MAC says
 * @throws StoreFormatError when the bytes cannot be decoded
 */
export function decodeBlob(
  blob: Pick<PackfileBlob, 'mac' | 'type'>,
  bytes: Uint8Array,
  options: DecodeBlobOptions,
): Buffer {
  const {codec, hasher, maxBytes = MAX_BLOB_BYTES, what} = options
  // Padding is random as it lies there: there is nothing to decode.
  if (blob.type === BLOB_TYPES.random) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const facts = {blob: blob.mac, type: blobTypeName(blob.type)}
  let content: Buffer
  try {
    content = codec.decode(bytes, maxBytes)
  } catch (error) {
    throw inContext(error, `${what}: ${facts.type} ${blob.mac}`, facts)
  }

  if (!isNamedByContent(blob.type)) return content
  const actual = macOf(hasher, content)
  if (sameMac(actual, macToBytes(blob.mac))) return content
  throw new IntegrityError(`${what}: ${facts.type} ${blob.mac}: its content has another MAC`, {
    facts: {...facts, actual: actual.toString('hex'), expected: blob.mac},
  })
}

/** Reads one blob and checks it. @throws IntegrityError | StoreFormatError, and whatever `readAt` throws */
export async function readBlob(
  blob: Pick<PackfileBlob, 'length' | 'mac' | 'offset' | 'type'>,
  readAt: ReadAt,
  options: DecodeBlobOptions,
): Promise<Buffer> {
  return decodeBlob(blob, await readAt(HEADER_BYTES + blob.offset, blob.length), options)
}

/** A reader of an object in memory, envelope included. */
export function readAtOf(bytes: Buffer, what: string): ReadAt {
  return async (offset, length) => {
    if (offset < 0 || length < 0 || offset + length > bytes.length) {
      throw new StoreFormatError(`${what}: ${length} bytes at ${offset} lie beyond its ${bytes.length}`)
    }

    return bytes.subarray(offset, offset + length)
  }
}

/**
 * The MAC that a packfile is named by: of its data, which lies inside the envelope.
 * @see kloset packfile/packfile_mem.go `Serialize`
 */
export function macOf(hasher: Hasher, data: Uint8Array): Buffer {
  hasher.reset()
  hasher.update(data)
  return hasher.digest()
}

function decodeFooter(encoded: Buffer, {codec, what}: PackfileSource): PackfileFooter {
  let bytes: Buffer
  try {
    bytes = codec.decode(encoded, FOOTER_BYTES)
  } catch (error) {
    throw inContext(error, `${what}: footer`)
  }

  if (bytes.length !== FOOTER_BYTES) {
    throw new StoreFormatError(`${what}: its footer has ${bytes.length} bytes, expected ${FOOTER_BYTES}`)
  }

  return {
    count: bytes.readUInt32LE(8),
    flags: bytes.readUInt32LE(52),
    indexMac: macFromBytes(bytes.subarray(20, 52)),
    indexOffset: Number(bytes.readBigUInt64LE(12)),
    timestamp: timestampFromNanos(bytes.readBigInt64LE()),
  }
}

function decodeIndex(encoded: Buffer, footer: PackfileFooter, {codec, hasher, what}: PackfileSource): Buffer {
  const expected = footer.count * RECORD_BYTES
  if (expected > MAX_BLOB_BYTES) throw new StoreFormatError(`${what}: an index of ${footer.count} blobs is too large`)
  let records: Buffer
  try {
    records = codec.decode(encoded, expected)
  } catch (error) {
    throw inContext(error, `${what}: index`)
  }

  if (records.length !== expected) {
    throw new StoreFormatError(`${what}: its index has ${records.length} bytes, expected ${expected}`)
  }

  const actual = macOf(hasher, records)
  if (!sameMac(actual, macToBytes(footer.indexMac))) {
    throw new IntegrityError(`${what}: its index does not match the MAC in its footer`, {
      facts: {actual: actual.toString('hex'), expected: footer.indexMac},
    })
  }

  let total = 0
  for (let at = 0; at < records.length; at += RECORD_BYTES) {
    const {length, mac, offset} = decodeRecord(records, at)
    total += length
    if (offset + length > footer.indexOffset || total > footer.indexOffset) {
      throw new StoreFormatError(`${what}: ${mac} would lie beyond the blobs`, {facts: {blob: mac, length, offset}})
    }
  }

  return records
}

function decodeRecord(records: Buffer, at: number): PackfileBlob {
  return {
    flags: records.readUInt32LE(at + 52),
    length: records.readUInt32LE(at + 48),
    mac: records.toString('hex', at + 8, at + 40) as Mac,
    offset: Number(records.readBigUInt64LE(at + 40)),
    type: records.readUInt32LE(at),
    version: records.readUInt32LE(at + 4),
  }
}
