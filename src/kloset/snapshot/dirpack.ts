import type {Mac} from '../mac.js'

import {StoreFormatError} from '../../errors.js'
import {ByteQueue} from '../codec/compression/byte-queue.js'
import {MAC_BYTES, macFromBytes} from '../mac.js'
import {decodeEntry, type Entry} from './entry.js'

const HEADER_BYTES = 5

/** An entry with a long list of attributes and a security descriptor has some kilobytes. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024

export interface PackedEntry {
  readonly entry: Entry
  /** The entry's own MAC: that of its blob. */
  readonly mac: Mac
}

/**
 * Decodes a folder's listing, the content of an object of the `dirpack` tree: a type, a length, an entry and its MAC for
 * each of its files.
 * @throws StoreFormatError when it is not sound or lists what lies elsewhere, and whatever the source throws
 * @see kloset snapshot/backup.go `writeFrame`
 */
export async function* decodeDirpack(source: AsyncIterable<Buffer>, folder: string): AsyncGenerator<PackedEntry> {
  const what = `listing of ${JSON.stringify(folder)}`
  const queue = new ByteQueue()
  for await (const part of source) {
    queue.push(part)
    for (let frame = takeFrame(queue, what); frame; frame = takeFrame(queue, what)) {
      const entry = decodeEntry(frame.subarray(HEADER_BYTES, -MAC_BYTES), what)
      if (entry.path !== '/' && entry.parentPath !== folder) {
        throw new StoreFormatError(`${what} has a file of ${JSON.stringify(entry.parentPath)}`)
      }

      yield {entry, mac: macFromBytes(frame.subarray(-MAC_BYTES))}
    }
  }

  if (queue.length > 0) throw new StoreFormatError(`${what} ended early`)
}

function takeFrame(queue: ByteQueue, what: string): Buffer | undefined {
  const length = queue.peek(HEADER_BYTES)?.readUInt32LE(1)
  if (length === undefined) return undefined
  if (length < MAC_BYTES || length > MAX_FRAME_BYTES) {
    throw new StoreFormatError(`${what} has an entry of ${length} bytes`)
  }

  return queue.take(HEADER_BYTES + length)
}
