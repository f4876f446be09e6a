import type {Readable} from 'node:stream'

import {open} from 'node:fs/promises'

import {DrainableStream, type Sink} from './drain.js'
import {FileBytes} from './file-bytes.js'

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
      const end = length === undefined ? size : offset + length
      if (end <= offset) return readableOf(Buffer.alloc(0))
      return new FileBytes({end, file: async () => open(path, 'r'), start: offset})
    },
    size,
  }
}

const SLICE_BYTES = 512 * 1024

/** Content up to this size is handled at once where it is in memory, or comes into it whole. */
export const HELD_BYTES = 256 * 1024

/** A byte stream over one buffer in slices, so that a slow consumer holds back the producer. */
export function readableOf(bytes: Buffer): Readable {
  return new Slices([bytes])
}

/** A byte stream over several buffers, one behind the other. */
export function readableOfAll(pieces: readonly Buffer[]): Readable {
  return new Slices(pieces)
}

/**
 * The bytes of a stream over a little memory that nobody has begun to read, without the turns that a stream takes: they
 * cost more than what is done with such bytes. The stream is not used afterwards.
 * @returns none for any other stream
 */
export function takeHeld(stream: Readable): Buffer | undefined {
  return stream instanceof Slices ? stream.takeAll() : undefined
}

/** Bytes in memory as a stream. */
class Slices extends DrainableStream {
  /** What is not being read yet. */
  #pieces: readonly Buffer[] | undefined
  #slices: Iterator<Buffer> | undefined

  constructor(pieces: readonly Buffer[]) {
    super({highWaterMark: SLICE_BYTES})
    this.#pieces = pieces
  }

  override _read(): void {
    const {done, value} = this.#begun().next() as IteratorResult<Buffer, undefined>
    this.push(done ? null : value)
  }

  protected override async giveAll(sink: Sink): Promise<void> {
    const slices = this.#begun()
    for (let slice = slices.next(); !slice.done && !this.destroyed; slice = slices.next()) {
      await sink(slice.value as Buffer)
    }
  }

  /** @see takeHeld */
  takeAll(): Buffer | undefined {
    const [bytes, ...more] = this.#pieces ?? []
    if (!bytes || more.length > 0 || bytes.length > HELD_BYTES || this.destroyed) return undefined
    this.#pieces = []
    return bytes
  }

  #begun(): Iterator<Buffer> {
    this.#slices ??= slicesOf(this.#pieces ?? [])
    this.#pieces = undefined
    return this.#slices
  }
}

function* slicesOf(pieces: Iterable<Buffer>): Generator<Buffer, undefined> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += SLICE_BYTES) yield piece.subarray(at, at + SLICE_BYTES)
  }
}
