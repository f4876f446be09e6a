import type {Readable} from 'node:stream'

import fs from 'node:fs/promises'

import type {ContentSource} from '../../util/content-source.js'
import type {Descriptor} from '../descriptor.js'
import type {BlobStore, CallOptions, FetchOptions, PushOptions} from '../interfaces.js'

import {InvalidArgumentError, isNotFound, NotFoundError} from '../../errors.js'
import {abortable, throwIfAborted} from '../../util/abort.js'
import {readableOf} from '../../util/content-source.js'
import {errnoOf, fileOperation, localIoError} from '../../util/fs-error.js'
import {algorithmOf, type Digest, type DigestAlgorithm, parseDigest} from '../digest.js'
import {type BlobIngest, type BlobIngester} from '../local/ingest.js'
import {type OwnedBlobs} from '../local/owned-repository.js'
import {checkPushTarget} from '../local/push.js'
import {checkStoredSize, cutRange, sizeMismatch} from '../local/range.js'
import {MEDIA_TYPE} from '../media-types.js'
import {verified} from '../verify-stream.js'
import {openBlob, readRange, sizeOfBlob, streamBlob, streamRange} from './blob-file.js'
import {assertWritable, type LayoutContext} from './context.js'
import {LayoutIngest} from './ingest.js'

/** Ranges up to this size are read at once, longer ones as a stream. */
const WHOLE_RANGE_BYTES = 4 * 1024 * 1024

/** The blobs of a layout directory: files under `blobs/<algorithm>/<hex>`. */
export class LayoutBlobs implements OwnedBlobs {
  readonly #context: LayoutContext

  constructor(context: LayoutContext) {
    this.#context = context
  }

  /**
   * Takes over a blob of another repository: as a second link to the same file where that can be, else as a copy.
   * @returns false when the other one has no such blob
   */
  async adopt(digest: Digest, from: BlobStore, {signal}: CallOptions = {}): Promise<boolean> {
    throwIfAborted(signal)
    assertWritable(this.#context)
    if (from instanceof LayoutBlobs) {
      const linked = await this.#link(digest, from.#context.files.blobPath(digest))
      if (linked !== undefined) return linked
    }

    return copyBlob(digest, from, this, signal)
  }

  async delete(digest: Digest, {signal}: CallOptions = {}): Promise<void> {
    assertWritable(this.#context)
    const {files, index, location} = this.#context
    if ((await index.read(signal)).ofDigest(digest).length > 0) {
      throw new InvalidArgumentError(`${location}: ${digest} is a manifest and not deleted as a blob`, {
        facts: {digest},
      })
    }

    const path = files.blobPath(digest)
    await fs.unlink(path).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') throw new NotFoundError(`${location}: no blob ${digest}`, {facts: {digest}})
      throw localIoError(error, 'delete', path)
    })
    files.markDirty(files.blobDir(algorithmOf(digest)))
    await files.syncDirs()
  }

  async fetch(target: Descriptor, {range, signal}: FetchOptions = {}): Promise<Readable> {
    throwIfAborted(signal)
    const blob = await openBlob(this.#context.files, target.digest)
    try {
      throwIfAborted(signal)
      checkStoredSize(target, blob.size)
      if (!range) return abortable(verified(streamBlob(blob), target), signal)
      const cut = cutRange(range, blob.size, target.digest)
      if (cut.end - cut.start > WHOLE_RANGE_BYTES) return abortable(streamRange(blob, target.digest, cut), signal)
      const bytes = await readRange(blob, target.digest, cut)
      throwIfAborted(signal)
      return abortable(readableOf(bytes), signal)
    } catch (error) {
      await blob.handle.close()
      throw error
    }
  }

  async ingest(algorithm?: DigestAlgorithm): Promise<BlobIngest> {
    assertWritable(this.#context)
    return new LayoutIngest(this.#context.files, algorithm)
  }

  /**
   * Whether a blob is there with its right size. When it is, its time is set to now, so that a garbage collection that
   * runs meanwhile leaves it to the manifest that will name it.
   */
  async keep({digest, size}: Pick<Descriptor, 'digest' | 'size'>): Promise<boolean> {
    const path = this.#context.files.blobPath(digest)
    const now = new Date()
    const touch = await fs.utimes(path, now, now).catch((error: unknown) => errnoOf(error) ?? 'EIO')
    if (touch === 'ENOENT' || touch === 'ENOTDIR') return false
    // A blob of another owner cannot be touched and can still be used.
    const stats = await fileOperation('read', path, () => fs.lstat(path)).catch(() => {})
    return stats !== undefined && stats.isFile() && (size < 0 || stats.size === size)
  }

  async push(target: Descriptor, source: ContentSource, {force, signal}: PushOptions = {}): Promise<boolean> {
    throwIfAborted(signal)
    assertWritable(this.#context)
    checkPushTarget(target, source)
    if (!force && (await this.keep(target))) return false
    const ingest = new LayoutIngest(this.#context.files, algorithmOf(target.digest))
    try {
      await ingest.append(abortable(source.open(), signal), {limit: target.size, signal})
      if (ingest.size !== target.size) throw sizeMismatch(target, ingest.size)
      await ingest.commit(target.digest, {signal})
    } catch (error) {
      await ingest.abort()
      throw error
    }

    return true
  }

  async resolve(reference: string, {signal}: CallOptions = {}): Promise<Descriptor> {
    throwIfAborted(signal)
    const digest = parseDigest(reference)
    const size = await sizeOfBlob(this.#context.files, digest)
    throwIfAborted(signal)
    return {digest, mediaType: MEDIA_TYPE.octetStream, size}
  }

  /** @returns nothing when it takes a copy */
  async #link(digest: Digest, source: string): Promise<boolean | undefined> {
    const {files} = this.#context
    const dir = files.blobDir(algorithmOf(digest))
    await files.makeDir(dir)
    try {
      await fs.link(source, files.blobPath(digest))
      files.markDirty(dir)
      return true
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'EEXIST') return this.keep({digest, size: -1})
      return errno === 'ENOENT' ? false : undefined
    }
  }
}

async function copyBlob(
  digest: Digest,
  from: BlobStore,
  to: BlobIngester,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const target = await from.resolve(digest, {signal}).catch((error: unknown) => {
    if (!isNotFound(error)) throw error
  })
  if (!target) return false
  const ingest = await to.ingest(algorithmOf(digest))
  try {
    await ingest.append(await from.fetch(target, {signal}), {limit: target.size, signal})
    await ingest.commit(digest, {signal})
  } catch (error) {
    await ingest.abort()
    throw error
  }

  return true
}
