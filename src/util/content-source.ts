import {createReadStream} from 'node:fs'
import {Readable} from 'node:stream'

/**
 * Bytes of a known length that can be read more than once, so that an upload can be restarted from its first byte.
 */
export interface ContentSource {
  /** Frees what the source holds (a spool file). The source is not used afterwards. */
  dispose?(): Promise<void>
  /** A new stream over the bytes from `range.offset` (default 0) for `range.length` (default: to the end). */
  open(range?: {readonly length?: number; readonly offset: number}): Readable
  /**
   * The digest that every whole stream of `open` has been checked against before it ends: it fails instead. Whoever
   * sends such a source need not count its digest again.
   */
  readonly proves?: string | undefined
  /** Length in bytes of everything `open` yields. */
  readonly size: number
}

/** A source over bytes in memory. The array is not copied: it must not change while the source is in use. */
export function bufferSource(bytes: Uint8Array): ContentSource {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    open({length, offset} = {offset: 0}) {
      const end = length === undefined ? buffer.length : offset + length
      return readableOf(buffer.subarray(offset, end))
    },
    size: buffer.length,
  }
}

/** A source over a file of `size` bytes. A file that changes its length underneath is found by the digest check. */
export function fileSource(path: string, size: number): ContentSource {
  return {
    open({length, offset} = {offset: 0}) {
      const end = length === undefined ? size - 1 : offset + length - 1
      if (end < offset) return readableOf(Buffer.alloc(0))
      return createReadStream(path, {end, highWaterMark: 256 * 1024, start: offset})
    },
    size,
  }
}

const SLICE_BYTES = 256 * 1024

/** A byte stream over one buffer in slices, so that a slow consumer holds back the producer. */
export function readableOf(bytes: Buffer): Readable {
  let offset = 0
  return new Readable({
    read() {
      if (offset >= bytes.length) {
        this.push(null)
        return
      }

      const slice = bytes.subarray(offset, offset + SLICE_BYTES)
      offset += slice.length
      this.push(slice)
    },
  })
}
