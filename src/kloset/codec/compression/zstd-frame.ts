/* eslint-disable no-bitwise -- flags are the format's */
import {StoreFormatError, VersionError} from '../../../errors.js'
import {tooLarge} from './compression.js'

const MAGIC = 0xfd_2f_b5_28
const SKIPPABLE_MAGIC = 0x18_4d_2a_50
const SKIPPABLE_MASK = 0xff_ff_ff_f0
const SINGLE_SEGMENT = 0x20
const RESERVED = 0x08
const CHECKSUM = 0x04
const BLOCK_HEADER_BYTES = 3
const CHECKSUM_BYTES = 4
const MAX_BLOCK_BYTES = 128 * 1024

const RAW_BLOCK = 0
const RLE_BLOCK = 1
const COMPRESSED_BLOCK = 2

/** A window of 1 MiB, a checksum, no size: what raw blocks are written under. */
const RAW_HEADER = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, CHECKSUM, 0x50])

interface FrameHeader {
  readonly blockBytes: number
  readonly checksum: boolean
  readonly contentSize: number | undefined
}

/**
 * Walks the frames of zstandard data from header to header, without decoding a block.
 * @returns the most bytes that it can decode to: exact where the frames say so, else a full block for each
 * @throws StoreFormatError when the headers do not lead exactly to the end, or to more than `maxBytes`
 * @throws VersionError for a frame with a dictionary or of an unknown kind
 * @see https://www.rfc-editor.org/rfc/rfc8878
 */
export function zstdBound(bytes: Buffer, maxBytes: number): number {
  let at = 0
  let bound = 0
  while (at < bytes.length) {
    if (bytes.length - at < 5) throw early()
    const magic = bytes.readUInt32LE(at)
    if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) {
      if (bytes.length - at < 8) throw early()
      at += 8 + bytes.readUInt32LE(at + 4)
      continue
    }

    if (magic !== MAGIC) throw new StoreFormatError('not a ZSTD frame')
    const flags = bytes[at + 4]!
    const headerEnd = at + headerBytes(flags)
    if (headerEnd > bytes.length) throw early()
    const header = parseHeader(bytes.subarray(at, headerEnd), flags)
    const blocks = walkBlocks(bytes, headerEnd, header)
    at = blocks.end + (header.checksum ? CHECKSUM_BYTES : 0)
    bound += header.contentSize ?? blocks.bound
    // What the blocks add up to may be beyond the limit by their last, partial one.
    if (bound > maxBytes + (header.contentSize === undefined ? MAX_BLOCK_BYTES : 0)) tooLarge(maxBytes)
  }

  if (at > bytes.length) throw early()
  return bound
}

/** Bytes as one frame of raw blocks: not smaller, but what every reader of ZSTD reads. */
export function writeRawFrame(bytes: Uint8Array, checksum: (bytes: Uint8Array) => number): Buffer {
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts: Uint8Array[] = [RAW_HEADER]
  let at = 0
  do {
    const part = content.subarray(at, at + MAX_BLOCK_BYTES)
    at += part.length
    const head = Buffer.alloc(BLOCK_HEADER_BYTES)
    head.writeUIntLE((part.length << 3) | (at === content.length ? 1 : 0), 0, BLOCK_HEADER_BYTES)
    parts.push(head, part)
  } while (at < content.length)

  const trailer = Buffer.alloc(CHECKSUM_BYTES)
  trailer.writeUInt32LE(checksum(content))
  return Buffer.concat([...parts, trailer])
}

function contentSizeOf(bytes: Buffer, flags: number): number | undefined {
  switch (flags >> 6) {
    case 0: {
      return flags & SINGLE_SEGMENT ? bytes[0] : undefined
    }

    case 1: {
      return bytes.readUInt16LE() + 256
    }

    case 2: {
      return bytes.readUInt32LE()
    }

    default: {
      return Number(bytes.readBigUInt64LE())
    }
  }
}

function early(): StoreFormatError {
  return new StoreFormatError('ZSTD frame ended early')
}

/** Bytes of a frame's header, magic number included. */
function headerBytes(flags: number): number {
  const single = flags & SINGLE_SEGMENT ? 1 : 0
  const dictionary = [0, 1, 2, 4][flags & 3]!
  const size = [single, 2, 4, 8][flags >> 6]!
  return 5 + (1 - single) + dictionary + size
}

function parseHeader(bytes: Buffer, flags: number): FrameHeader {
  if (flags & RESERVED) throw new VersionError('ZSTD frame of an unknown kind')
  if (flags & 3) throw new VersionError('ZSTD frame needs a dictionary')
  const single = Boolean(flags & SINGLE_SEGMENT)
  const contentSize = contentSizeOf(bytes.subarray(single ? 5 : 6), flags)
  const window = single ? contentSize! : windowOf(bytes[5]!)
  return {blockBytes: Math.min(window, MAX_BLOCK_BYTES), checksum: Boolean(flags & CHECKSUM), contentSize}
}

function walkBlocks(bytes: Buffer, start: number, {blockBytes}: FrameHeader): {bound: number; end: number} {
  let at = start
  let bound = 0
  for (let last = false; !last;) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) throw early()
    const word = bytes.readUIntLE(at, BLOCK_HEADER_BYTES)
    last = Boolean(word & 1)
    const type = (word >> 1) & 3
    const size = word >> 3
    if (type > COMPRESSED_BLOCK || size > MAX_BLOCK_BYTES) throw new StoreFormatError('ZSTD block is not sound')
    at += BLOCK_HEADER_BYTES + (type === RLE_BLOCK ? 1 : size)
    bound += type === RAW_BLOCK || type === RLE_BLOCK ? size : blockBytes
  }

  return {bound, end: at}
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3))
  return base + (base / 8) * (descriptor & 7)
}
