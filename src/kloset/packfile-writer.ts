import {randomBytes} from 'node:crypto'

import type {Timestamp} from './timestamp.js'

import {InvalidArgumentError} from '../errors.js'
import {BLOB_TYPES, type BlobType} from './blob-type.js'
import {type Mac, macFromBytes} from './mac.js'
import {
  FOOTER_BYTES,
  FOOTER_LENGTH_BYTES,
  isNamedByContent,
  macOf,
  type PackfileBlob,
  type PackfileKeys,
  RECORD_BYTES,
  writeRecord,
} from './packfile.js'
import {timestampToNanos} from './state/entries.js'
import {makeVersion, type Version} from './version.js'

const VERSION_1: Version = makeVersion(1, 0, 0)
const MAX_UINT32 = 2 ** 32 - 1

/** A packfile that was put together. */
export interface WrittenPackfile {
  readonly blobs: readonly PackfileBlob[]
  /** What goes into the envelope. */
  readonly data: Buffer
  /** What it is named by. */
  readonly mac: Mac
}

/**
 * Puts a packfile together in memory: blobs one after another, then their index and the footer.
 * @see kloset packfile/packfile_mem.go
 */
export class PackfileWriter {
  readonly #blobs: PackfileBlob[] = []
  readonly #keys: PackfileKeys
  readonly #parts: Buffer[] = []
  #size = 0

  constructor(keys: PackfileKeys) {
    this.#keys = keys
  }

  /** Bytes of the blobs so far, as they are encoded. */
  get size(): number {
    return this.#size
  }

  /**
   * Encodes and adds a blob.
   * @param name for the types that are not named by their content; the content's MAC for the rest
   * @returns its record
   */
  add(
    type: BlobType,
    content: Uint8Array,
    {name, version = VERSION_1}: {name?: Mac; version?: Version} = {},
  ): PackfileBlob {
    if (isNamedByContent(type) === (name !== undefined)) {
      throw new InvalidArgumentError(
        `a blob of type ${type} is named ${name === undefined ? 'otherwise' : 'by its content'}`,
      )
    }

    const mac = name ?? macFromBytes(macOf(this.#keys.hasher, content))
    return this.addEncoded({bytes: this.#keys.codec.encode(content), flags: 0, mac, type, version})
  }

  /** Adds a blob as it lies in another packfile of the same store. */
  addEncoded(blob: Omit<PackfileBlob, 'length' | 'offset'> & {readonly bytes: Uint8Array}): PackfileBlob {
    const {bytes, flags, mac, type, version} = blob
    if (bytes.length > MAX_UINT32)
      throw new InvalidArgumentError(`a blob has ${bytes.length} bytes, too many to record`)
    const record = {flags, length: bytes.length, mac, offset: this.#size, type, version}
    this.#blobs.push(record)
    this.#parts.push(Buffer.from(bytes))
    this.#size += bytes.length
    return record
  }

  /**
   * Adds random bytes under a random MAC: kloset begins and ends a packfile so, that sizes tell less.
   * @param length bytes, at least 1
   */
  addPadding(length: number): PackfileBlob {
    return this.addEncoded({
      bytes: randomBytes(length),
      flags: 0,
      mac: macFromBytes(randomBytes(32)),
      type: BLOB_TYPES.random,
      version: VERSION_1,
    })
  }

  finish(timestamp: Timestamp): WrittenPackfile {
    const {codec, hasher} = this.#keys
    const index = Buffer.allocUnsafe(this.#blobs.length * RECORD_BYTES)
    for (const [number, blob] of this.#blobs.entries()) writeRecord(index, blob, number * RECORD_BYTES)
    const footer = Buffer.alloc(FOOTER_BYTES)
    footer.writeBigInt64LE(timestampToNanos(timestamp))
    footer.writeUInt32LE(this.#blobs.length, 8)
    footer.writeBigUInt64LE(BigInt(this.#size), 12)
    macOf(hasher, index).copy(footer, 20)
    const encodedFooter = codec.encode(footer)
    const footerLength = Buffer.alloc(FOOTER_LENGTH_BYTES)
    footerLength.writeUInt32LE(encodedFooter.length)
    const data = Buffer.concat([...this.#parts, codec.encode(index), encodedFooter, footerLength])
    return {blobs: this.#blobs, data, mac: macFromBytes(macOf(hasher, data))}
  }
}
