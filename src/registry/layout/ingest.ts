import fs from 'node:fs/promises'

import type {Descriptor} from '../descriptor.js'
import type {CallOptions} from '../interfaces.js'
import type {LayoutFiles} from './files.js'

import {IntegrityError, InvalidArgumentError} from '../../errors.js'
import {interruption, throwIfAborted} from '../../util/abort.js'
import {drain} from '../../util/drain.js'
import {fileOperation} from '../../util/fs-error.js'
import {Gatherer} from '../../util/gatherer.js'
import {writeFully} from '../../util/write-fully.js'
import {algorithmOf, type Digest, type DigestAlgorithm, Digester} from '../digest.js'
import {type AppendOptions, type BlobIngest} from '../local/ingest.js'
import {digestMismatch} from '../local/range.js'
import {MEDIA_TYPE} from '../media-types.js'
import {discard} from './files.js'

/** Small chunks are gathered to writes of about this size. */
const WRITE_BYTES = 1024 * 1024

/** A blob being written to a temporary file of the layout. The file is made with its first byte. */
export class LayoutIngest implements BlobIngest {
  readonly #algorithm: DigestAlgorithm
  readonly #digester: Digester
  readonly #files: LayoutFiles
  #handle: fs.FileHandle | undefined
  #isOver = false
  #path: string | undefined
  /** True when a failed write may have left bytes beyond `size`. */
  #tail = false

  constructor(files: LayoutFiles, algorithm: DigestAlgorithm = 'sha256') {
    this.#files = files
    this.#algorithm = algorithm
    this.#digester = new Digester(algorithm)
  }

  get size(): number {
    return this.#digester.size
  }

  async abort(): Promise<void> {
    this.#isOver = true
    const {handle, path} = {handle: this.#handle, path: this.#path}
    this.#handle = undefined
    this.#path = undefined
    if (path !== undefined) await discard(handle, path)
  }

  async append(bytes: AsyncIterable<Uint8Array>, {limit = Infinity, signal}: AppendOptions = {}): Promise<void> {
    const gatherer = new Gatherer((piece) => this.#write(piece), WRITE_BYTES)
    try {
      await drain(bytes, (piece) => {
        throwIfAborted(signal)
        if (this.size + gatherer.held + piece.length > limit) {
          throw new IntegrityError(`more than the ${limit} bytes that were announced`)
        }

        return gatherer.add(piece)
      })
      throwIfAborted(signal)
    } catch (error) {
      // What came before the source broke is kept: a session can go on from there.
      await gatherer.flush().catch(() => {})
      throw signal?.aborted ? interruption(signal) : error
    }

    await gatherer.flush()
  }

  async commit(digest: Digest, {signal}: CallOptions = {}): Promise<Descriptor> {
    throwIfAborted(signal)
    const {handle, path} = await this.#open()
    if (this.#tail) await fileOperation('truncate', path, () => handle.truncate(this.size))
    const {size} = this
    const actual = algorithmOf(digest) === this.#algorithm ? this.#digester.value() : await rehash(handle, path, digest)
    this.#isOver = true
    if (actual !== digest) {
      await this.abort()
      throw digestMismatch(digest, actual)
    }

    try {
      const dir = this.#files.blobDir(algorithmOf(digest))
      await this.#files.makeDir(dir)
      await this.#files.install(handle, path, this.#files.blobPath(digest))
      this.#handle = undefined
      this.#path = undefined
    } catch (error) {
      await this.abort()
      throw error
    }

    return {digest, mediaType: MEDIA_TYPE.octetStream, size}
  }

  async park(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  async #open(): Promise<{readonly handle: fs.FileHandle; readonly path: string}> {
    if (this.#isOver) throw new InvalidArgumentError('upload is over')
    if (this.#path === undefined) {
      const {handle, path} = await this.#files.temporary()
      this.#handle = handle
      this.#path = path
    }

    const path = this.#path
    this.#handle ??= await fileOperation('open', path, () => fs.open(path, 'r+'))
    return {handle: this.#handle, path}
  }

  async #write(piece: Buffer): Promise<void> {
    const {handle, path} = await this.#open()
    this.#tail = true
    await fileOperation('write', path, () => writeFully(handle, piece, this.size))
    this.#tail = false
    this.#digester.update(piece)
  }
}

async function rehash(handle: fs.FileHandle, path: string, digest: Digest): Promise<Digest> {
  const digester = new Digester(algorithmOf(digest))
  const buffer = Buffer.allocUnsafe(WRITE_BYTES)
  for (;;) {
    const {bytesRead} = await fileOperation('read', path, () => handle.read(buffer, 0, buffer.length, digester.size))
    if (bytesRead === 0) return digester.value()
    digester.update(buffer.subarray(0, bytesRead))
  }
}
