import type {Descriptor} from '../descriptor.js'
import type {CallOptions} from '../interfaces.js'
import type {AppendOptions, BlobIngest} from '../local/ingest.js'

import {IntegrityError, InvalidArgumentError} from '../../errors.js'
import {interruption, throwIfAborted, yieldTurn} from '../../util/abort.js'
import {algorithmOf, type Digest, digestOf} from '../digest.js'
import {digestMismatch} from '../local/range.js'
import {MEDIA_TYPE} from '../media-types.js'

/** A blob on its way into a repository in memory. */
export class MemoryIngest implements BlobIngest {
  readonly #chunks: Buffer[] = []
  #isOver = false
  #size = 0
  readonly #store: (digest: Digest, bytes: Buffer) => void

  constructor(store: (digest: Digest, bytes: Buffer) => void) {
    this.#store = store
  }

  get size(): number {
    return this.#size
  }

  async abort(): Promise<void> {
    this.#isOver = true
    this.#chunks.length = 0
  }

  async append(bytes: AsyncIterable<Uint8Array>, {limit = Infinity, signal}: AppendOptions = {}): Promise<void> {
    try {
      for await (const chunk of bytes) {
        throwIfAborted(signal)
        if (this.#isOver) throw new InvalidArgumentError('upload is over')
        if (this.#size + chunk.byteLength > limit) {
          throw new IntegrityError(`more than the ${limit} bytes that were announced`)
        }

        this.#chunks.push(Buffer.from(chunk))
        this.#size += chunk.byteLength
      }
    } catch (error) {
      throw signal?.aborted ? interruption(signal) : error
    }

    throwIfAborted(signal)
  }

  async commit(digest: Digest, {signal}: CallOptions = {}): Promise<Descriptor> {
    await yieldTurn(signal)
    if (this.#isOver) throw new InvalidArgumentError('upload is over')
    const bytes = Buffer.concat(this.#chunks)
    await this.abort()
    const actual = digestOf(bytes, algorithmOf(digest))
    if (actual !== digest) throw digestMismatch(digest, actual)
    this.#store(digest, bytes)
    return {digest, mediaType: MEDIA_TYPE.octetStream, size: bytes.length}
  }

  async park(): Promise<void> {}
}
