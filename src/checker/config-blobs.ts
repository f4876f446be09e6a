import type {Digest} from '../registry/digest.js'
import type {CheckContext} from './context.js'
import type {Finding} from './findings.js'

import {hasCode, isNotFound} from '../errors.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {actualOf, factsOf, finding} from './failures.js'

/** Writers share one config blob or two; a repository with more of them than this has them checked in part. */
const MAX_DISTINCT = 10_000

/** What is larger is no config blob of a store, and is not downloaded. */
const MAX_DOWNLOAD_BYTES = 4 * 1024 * 1024

interface Noted {
  count: number
  /** As the first manifest states it; -1 when it does not. */
  readonly size: number
  /** The first tag that has it. */
  readonly tag: string
}

/** The config blobs of all manifests, each checked once however many objects share it. */
export class ConfigBlobs {
  readonly #blobs = new Map<Digest, Noted>()

  /** One finding for each blob in trouble, with how many objects have it. */
  async *check(context: CheckContext): AsyncGenerator<Finding> {
    for (const [digest, noted] of this.#blobs) {
      const first = await checkBlob(digest, noted, context)
      // A second look: written again meanwhile, perhaps, by whoever put an object.
      const found = first && (await checkBlob(digest, noted, context))
      if (found) yield found
    }
  }

  note({digest, size}: {readonly digest: Digest; readonly size: number}, tag: string): void {
    const known = this.#blobs.get(digest)
    if (known) known.count += 1
    else if (this.#blobs.size < MAX_DISTINCT) this.#blobs.set(digest, {count: 1, size, tag})
  }
}

async function checkBlob(
  digest: Digest,
  {count, size, tag}: Noted,
  {deep, failures, onBytes, repository, signal}: CheckContext,
): Promise<Finding | undefined> {
  const details = {count, digest, tag}
  const what = `config blob ${digest} of ${count} objects`
  try {
    const blob = await repository.blobs.resolve(digest, {signal})
    failures.succeeded()
    if (size >= 0 && blob.size !== size) {
      return finding('size-mismatch', `${what}: has ${blob.size} bytes, manifests say ${size}`, {
        ...details,
        expected: size,
        found: blob.size,
      })
    }

    if (!deep || blob.size > MAX_DOWNLOAD_BYTES) return undefined
    const stream = await repository.blobs.fetch({digest, mediaType: MEDIA_TYPE.imageConfig, size: blob.size}, {signal})
    for await (const chunk of stream as AsyncIterable<Buffer>) onBytes?.(chunk.length)
    return undefined
  } catch (error) {
    if (isNotFound(error)) {
      failures.succeeded()
      return finding('config-blob-missing', `${what}: is missing`, {...details, ...factsOf(error)})
    }

    if (hasCode(error, 'INTEGRITY')) {
      return finding('digest-mismatch', `${what}: ${error.message}`, {
        ...details,
        expected: digest,
        found: actualOf(error),
      })
    }

    return failures.failed(error, what, details)
  }
}
