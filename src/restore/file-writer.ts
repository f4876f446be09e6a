import type {FileHandle} from 'node:fs/promises'

import {writeFully} from '../util/write-fully.js'

/** Blocks of this many zeros are left out: the file system reads zeros where nothing was written. */
const BLOCK_BYTES = 64 * 1024
const ZEROS = Buffer.alloc(BLOCK_BYTES)

/** Writes a new file in order, with holes for zeros. */
export class FileWriter {
  readonly #handle: FileHandle
  #offset = 0
  #written = 0

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** Gives the file its length when it ends in a hole. @returns its bytes */
  async end(): Promise<number> {
    if (this.#written < this.#offset) await this.#handle.truncate(this.#offset)
    return this.#offset
  }

  async write(bytes: Buffer): Promise<void> {
    for (const {end, start} of dataRuns(bytes)) await this.#put(bytes.subarray(start, end), this.#offset + start)
    this.#offset += bytes.length
  }

  async #put(bytes: Buffer, position: number): Promise<void> {
    await writeFully(this.#handle, bytes, position)
    this.#written = position + bytes.length
  }
}

/** What is to be written of some bytes: blocks of zeros are left out. */
export function* dataRuns(bytes: Buffer): Generator<{readonly end: number; readonly start: number}> {
  let start = 0
  while (start < bytes.length) {
    const end = endOf(bytes, start, false)
    if (end > start) yield {end, start}
    start = endOf(bytes, end, true)
  }
}

/** Where the run of blocks of zeros, or of others, that begins at `start` ends. */
function endOf(bytes: Buffer, start: number, zeros: boolean): number {
  let at = start
  while (at < bytes.length) {
    const end = Math.min(at + BLOCK_BYTES, bytes.length)
    const isZero = end - at === BLOCK_BYTES && bytes[at] === 0 && ZEROS.equals(bytes.subarray(at, end))
    if (isZero !== zeros) return at
    at = end
  }

  return at
}
