import type {Mac} from '../kloset/mac.js'
import type {BlobReader, Chunk, FileObject} from '../kloset/snapshot/index.js'

import {IntegrityError} from '../errors.js'
import {BLOB_TYPES} from '../kloset/blob-type.js'
import {type Hasher, type HasherPool, sameMac} from '../kloset/hashing.js'
import {macToBytes} from '../kloset/mac.js'
import {ByteBudget} from '../util/byte-budget.js'

/** Chunks of one file that are read ahead of the one that is wanted. */
const CHUNKS_AHEAD = 8

/** Chunks in memory, of all files together. */
const CONTENT_BYTES = 64 * 1024 * 1024

export interface ContentReaderOptions {
  readonly hashers: HasherPool
  /** Chunks in memory at the same time. Default 64 MiB. */
  readonly maxBytes?: number | undefined
  readonly read: BlobReader
}

/** Reads the content of files: in order, some chunks ahead, with bounded memory, checked as a whole at the end. */
export class ContentReader {
  readonly #budget: ByteBudget
  readonly #hashers: HasherPool
  readonly #read: BlobReader

  constructor({hashers, maxBytes = CONTENT_BYTES, read}: ContentReaderOptions) {
    this.#budget = new ByteBudget(maxBytes)
    this.#hashers = hashers
    this.#read = read
  }

  /**
   * The content of a file. What it yields is proven chunk by chunk; the whole only when it ends.
   * @throws IntegrityError when a chunk or the whole is not what it should be, and what the reader throws
   */
  async *content(object: FileObject): AsyncGenerator<Buffer> {
    const {chunks, contentMac} = object
    // The MAC of one chunk is that of the whole.
    const isProven = contentMac === undefined || (chunks.length === 1 && chunks.at(0).mac === contentMac)
    if (isProven) {
      yield* this.#chunks(object)
      return
    }

    const hasher = await this.#hashers.take()
    hasher.reset()
    for await (const chunk of this.#chunks(object)) {
      hasher.update(chunk)
      yield chunk
    }

    checkWhole(hasher, contentMac)
    this.#hashers.giveBack(hasher)
  }

  /** Whether some bytes are the content of an object. */
  async matches(object: FileObject, bytes: AsyncIterable<Buffer>): Promise<boolean> {
    const {contentMac} = object
    if (contentMac === undefined) return false
    return this.#hashers.lend(async (hasher) => {
      hasher.reset()
      for await (const part of bytes) hasher.update(part)
      return sameMac(hasher.digest(), macToBytes(contentMac))
    })
  }

  async #chunk({length, mac}: Chunk): Promise<Buffer> {
    await this.#budget.take(length)
    const content = await this.#read(BLOB_TYPES.chunk, mac)
    if (content.length === length) return content
    throw new IntegrityError(`chunk ${mac} has ${content.length} bytes, its object says ${length}`, {
      facts: {actualSize: content.length, blob: mac, expectedSize: length},
    })
  }

  async *#chunks({chunks}: FileObject): AsyncGenerator<Buffer> {
    const ahead: {readonly content: Promise<Buffer>; readonly length: number}[] = []
    let next = 0
    try {
      for (let at = 0; at < chunks.length; at++) {
        while (next < chunks.length && ahead.length < CHUNKS_AHEAD) {
          const chunk = chunks.at(next++)
          const content = this.#chunk(chunk)
          // Its failure is told when its turn comes.
          content.catch(() => {})
          ahead.push({content, length: chunk.length})
        }

        const {content, length} = ahead[0]!
        yield await content
        ahead.shift()
        this.#budget.release(length)
      }
    } finally {
      for (const {content, length} of ahead) {
        const release = () => this.#budget.release(length)
        content.then(release, release)
      }
    }
  }
}

function checkWhole(hasher: Hasher, expected: Mac): void {
  const actual = hasher.digest()
  if (sameMac(actual, macToBytes(expected))) return
  throw new IntegrityError('its chunks are sound, and together they are not its content', {
    facts: {actual: actual.toString('hex'), expected},
  })
}
