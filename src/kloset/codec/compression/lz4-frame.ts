/* eslint-disable no-bitwise -- flags are the format's */
import type {IHasher} from 'hash-wasm'

import {StoreFormatError, VersionError} from '../../../errors.js'
import {ByteQueue} from './byte-queue.js'
import {tooLarge} from './compression.js'
import {decodeBlock, decodedBound, encodeBlock, WINDOW_BYTES} from './lz4-block.js'
import {decodeNatively} from './lz4-native.js'

const MAGIC = 0x18_4d_22_04
const SKIPPABLE_MAGIC = 0x18_4d_2a_50
const SKIPPABLE_MASK = 0xff_ff_ff_f0
const VERSION_BITS = 0xc0
const VERSION = 0x40
const INDEPENDENT = 0x20
const BLOCK_CHECKSUM = 0x10
const CONTENT_SIZE = 0x08
const CONTENT_CHECKSUM = 0x04
const RESERVED = 0x02
const DICTIONARY = 0x01
const UNCOMPRESSED = 0x80_00_00_00
const SMALLEST_CLASS = 4
const LARGEST_CLASS = 7

/** The header that pierrec/lz4 writes by default: independent blocks of 4 MiB, a checksum of the content. */
const DEFAULT_HEADER = Buffer.from('04224d186470b9', 'hex')
const DEFAULT_BLOCK_BYTES = blockBytes(LARGEST_CLASS)

interface FrameHeader {
  readonly blockBytes: number
  readonly blockChecksum: boolean
  readonly contentChecksum: boolean
  readonly contentSize: bigint | undefined
  readonly independent: boolean
}

/** Where independent blocks are decoded before what they gave is copied out: never in use between two calls. */
let shared = Buffer.alloc(0)

type Step = 'block' | 'checksum' | 'header' | 'skip'

/**
 * Reads LZ4 frames, one after another, as their bytes come in. It holds a block at a time.
 * Frames without dictionaries, of version 1; skippable frames are skipped.
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
export class Lz4FrameReader {
  readonly #checksum: IHasher
  #header: FrameHeader | undefined
  /** Behind the decoded bytes that linked blocks reach back to lies the room for one block. */
  #history = 0
  readonly #maxBytes: number
  #produced = 0
  #producedOfFrame = 0
  readonly #queue = new ByteQueue()
  #skip = 0
  #step: Step = 'header'
  #work = Buffer.alloc(0)

  /** @param maxBytes memory for a block is not taken beyond this; the caller counts what comes out */
  constructor(checksum: IHasher, maxBytes: number) {
    this.#checksum = checksum
    this.#maxBytes = maxBytes
  }

  /** @throws StoreFormatError when a frame has begun and not ended */
  end(): void {
    if (this.#step === 'header' && this.#queue.length === 0) return
    throw new StoreFormatError('LZ4 frame ended early', {facts: {decoded: this.#produced}})
  }

  /** Decoded bytes that these and the bytes before them complete. @throws StoreFormatError */
  *push(bytes: Uint8Array): Generator<Buffer> {
    this.#queue.push(bytes)
    for (;;) {
      if (this.#step === 'block') {
        const taken = this.#takeBlock()
        if (!taken) return
        if (taken.length > 0) yield taken
      } else if (!this.#takeOther(this.#step)) {
        return
      }
    }
  }

  /** The content's checksum is under way in the same hasher: its state is set aside. */
  #checkBlock(block: Buffer, expected: number): void {
    const state = this.#checksum.save()
    const actual = checksumOf(this.#checksum, block)
    this.#checksum.load(state)
    if (actual !== expected) throw mismatch('block')
  }

  #decode(block: Buffer, {blockBytes, independent}: FrameHeader): Buffer {
    const bound = Math.min(blockBytes, decodedBound(block.length), this.#maxBytes - this.#produced + 1)
    const native = independent ? decodeNatively(block, bound) : undefined
    if (native) return native
    if (independent) {
      if (shared.length < bound) shared = Buffer.allocUnsafeSlow(bound)
      return Buffer.from(shared.subarray(0, decodeBlock(block, shared.subarray(0, bound), 0, 0)))
    }

    const out = WINDOW_BYTES + bound
    if (this.#work.length < out) this.#grow(out)
    const end = decodeBlock(block, this.#work.subarray(0, out), WINDOW_BYTES, WINDOW_BYTES - this.#history)
    return Buffer.from(this.#work.subarray(WINDOW_BYTES, end))
  }

  #grow(size: number): void {
    const work = Buffer.alloc(size)
    this.#work.copy(work, 0, 0, WINDOW_BYTES)
    this.#work = work
  }

  #readHeader(): boolean {
    const start = this.#queue.peek(6)
    if (!start) return false
    const magic = start.readUInt32LE()
    if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) {
      const sized = this.#queue.take(8)
      if (!sized) return false
      this.#skip = sized.readUInt32LE(4)
      this.#step = 'skip'
      return true
    }

    if (magic !== MAGIC) throw new StoreFormatError(`not an LZ4 frame: begins with ${start.toString('hex', 0, 4)}`)
    const flags = start[4]!
    const bytes = this.#queue.take(7 + (flags & CONTENT_SIZE ? 8 : 0) + (flags & DICTIONARY ? 4 : 0))
    if (!bytes) return false
    this.#header = parseHeader(bytes, this.#checksum)
    this.#step = 'block'
    this.#history = 0
    this.#producedOfFrame = 0
    this.#checksum.init()
    return true
  }

  /** Keeps the end of what was decoded within reach of linked blocks. */
  #remember(decoded: Buffer): void {
    if (this.#work.length < WINDOW_BYTES) this.#grow(WINDOW_BYTES + decoded.length)
    const kept = Math.max(0, Math.min(this.#history, WINDOW_BYTES - decoded.length))
    this.#work.copyWithin(
      WINDOW_BYTES - kept - Math.min(decoded.length, WINDOW_BYTES),
      WINDOW_BYTES - kept,
      WINDOW_BYTES,
    )
    const tail = decoded.subarray(Math.max(0, decoded.length - WINDOW_BYTES))
    tail.copy(this.#work, WINDOW_BYTES - tail.length)
    this.#history = kept + tail.length
  }

  /** The next block decoded, empty at the end of the blocks; undefined while bytes are missing. */
  #takeBlock(): Buffer | undefined {
    const header = this.#header!
    const size = this.#queue.peek(4)?.readUInt32LE()
    if (size === undefined) return undefined
    if (size === 0) {
      this.#queue.take(4)
      this.#step = 'checksum'
      return Buffer.alloc(0)
    }

    const length = size & ~UNCOMPRESSED
    if (length > header.blockBytes)
      throw new StoreFormatError(`LZ4 block of ${length} bytes in a frame of smaller ones`)
    const bytes = this.#queue.take(4 + length + (header.blockChecksum ? 4 : 0))
    if (!bytes) return undefined
    const block = bytes.subarray(4, 4 + length)
    if (header.blockChecksum) this.#checkBlock(block, bytes.readUInt32LE(4 + length))
    const decoded = size >= UNCOMPRESSED ? block : this.#decode(block, header)
    this.#produced += decoded.length
    this.#producedOfFrame += decoded.length
    if (this.#produced > this.#maxBytes) tooLarge(this.#maxBytes)
    if (header.contentChecksum) this.#checksum.update(decoded)
    if (!header.independent) this.#remember(decoded)
    return decoded
  }
  /** What is not a block. @returns false while bytes are missing */
  #takeOther(step: Exclude<Step, 'block'>): boolean {
    switch (step) {
      case 'checksum': {
        return this.#takeTrailer()
      }

      case 'header': {
        return this.#readHeader()
      }

      case 'skip': {
        const size = Math.min(this.#skip, this.#queue.length)
        this.#queue.take(size)
        this.#skip -= size
        if (this.#skip > 0) return false
        this.#step = 'header'
        return true
      }

      default: {
        return step satisfies never
      }
    }
  }

  #takeTrailer(): boolean {
    const {contentChecksum, contentSize} = this.#header!
    if (contentChecksum) {
      const stored = this.#queue.take(4)
      if (!stored) return false
      if (digestOf(this.#checksum) !== stored.readUInt32LE()) throw mismatch('content')
    }

    if (contentSize !== undefined && contentSize !== BigInt(this.#producedOfFrame)) {
      throw new StoreFormatError(`LZ4 frame holds ${this.#producedOfFrame} bytes, its header says ${contentSize}`)
    }

    this.#step = 'header'
    return true
  }
}

/** Bytes as one frame of the shape that kloset writes. */
export function writeLz4Frame(bytes: Uint8Array, checksum: IHasher): Buffer {
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts: Uint8Array[] = [DEFAULT_HEADER]
  for (let at = 0; at < content.length; at += DEFAULT_BLOCK_BYTES) {
    const part = content.subarray(at, at + DEFAULT_BLOCK_BYTES)
    const block = encodeBlock(part)
    parts.push(word(block ? block.length : part.length + UNCOMPRESSED), block ?? part)
  }

  parts.push(word(0), word(checksumOf(checksum, content)))
  return Buffer.concat(parts)
}

function blockBytes(sizeClass: number): number {
  return 2 ** (8 + 2 * sizeClass)
}

function checksumOf(checksum: IHasher, bytes: Uint8Array): number {
  checksum.init()
  checksum.update(bytes)
  return digestOf(checksum)
}

function digestOf(checksum: IHasher): number {
  const digest = checksum.digest('binary')
  return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).readUInt32BE()
}

function mismatch(of: string): StoreFormatError {
  return new StoreFormatError(`LZ4 ${of} does not match its checksum`)
}

/** @param bytes the whole header with the magic number */
function parseHeader(bytes: Buffer, checksum: IHasher): FrameHeader {
  const flags = bytes[4]!
  const sizeClass = bytes[5]! >> 4
  const usual = bytes.equals(DEFAULT_HEADER)
  if (!usual && ((checksumOf(checksum, bytes.subarray(4, -1)) >>> 8) & 0xff) !== bytes.at(-1)) throw mismatch('header')
  if ((flags & VERSION_BITS) !== VERSION || flags & RESERVED || bytes[5]! & 0x8f) {
    throw new VersionError(`LZ4 frame of an unknown kind: flags ${bytes.toString('hex', 4, 6)}`)
  }

  if (flags & DICTIONARY) throw new VersionError('LZ4 frame needs a dictionary')
  if (sizeClass < SMALLEST_CLASS) throw new StoreFormatError(`LZ4 frame with an invalid block size: ${sizeClass}`)
  return {
    blockBytes: blockBytes(sizeClass),
    blockChecksum: Boolean(flags & BLOCK_CHECKSUM),
    contentChecksum: Boolean(flags & CONTENT_CHECKSUM),
    contentSize: flags & CONTENT_SIZE ? bytes.readBigUInt64LE(6) : undefined,
    independent: Boolean(flags & INDEPENDENT),
  }
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}
