import {opendir} from 'node:fs/promises'
import {join} from 'node:path'

import type {Descriptor} from '../descriptor.js'
import type {CallOptions} from '../interfaces.js'
import type {LayoutContext} from './context.js'

import {hasCode, isNotFound} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {type Clock, systemClock} from '../../util/clock.js'
import {errnoOf, localIoError} from '../../util/fs-error.js'
import {type Digest, type DigestAlgorithm, isDigest} from '../digest.js'
import {type OwnedRepository} from '../local/owned-repository.js'
import {MEDIA_TYPE} from '../media-types.js'
import {sizeOfBlob} from './blob-file.js'
import {LayoutBlobs} from './blobs.js'
import {GarbageCollector, type GarbageOptions, type GarbageReport} from './garbage.js'
import {descriptorOfEntry} from './index-entry.js'
import {ManifestFiles} from './manifest-files.js'
import {LayoutManifests} from './manifests.js'
import {LayoutReferrers} from './referrers.js'

const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512']

/**
 * A repository in an OCI image-layout directory, which oras, crane and skopeo read and write too. Made by `openLayout`.
 * @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
export class LayoutRepository implements OwnedRepository {
  readonly blobs: LayoutBlobs
  readonly location: string
  readonly manifests: LayoutManifests
  readonly #clock: Clock
  readonly #context: LayoutContext
  readonly #manifestFiles: ManifestFiles
  readonly #referrers: LayoutReferrers

  constructor(context: LayoutContext, clock: Clock = systemClock) {
    this.#clock = clock
    this.#context = context
    this.location = context.location
    this.#manifestFiles = new ManifestFiles(context)
    this.#referrers = new LayoutReferrers(this.#manifestFiles)
    this.blobs = new LayoutBlobs(context)
    this.manifests = new LayoutManifests(context, this.blobs, this.#manifestFiles)
  }

  /** As a second link to the same file where that can be, else as a copy. */
  async adoptBlob(digest: Digest, from: OwnedRepository, options: CallOptions = {}): Promise<boolean> {
    return this.blobs.adopt(digest, from.blobs, options)
  }

  /** Every blob of the layout, manifests among them: an image layout keeps both in one place. */
  async *blobDigests({signal}: CallOptions = {}): AsyncIterable<Descriptor> {
    for (const algorithm of ALGORITHMS) {
      for await (const name of namesOf(this.#context.files.blobDir(algorithm))) {
        throwIfAborted(signal)
        const digest = `${algorithm}:${name}`
        if (!isDigest(digest)) continue
        const size = await sizeOfBlob(this.#context.files, digest).catch((error: unknown) => {
          // Deleted while we looked, or a folder or link of that name, which is no blob.
          if (isNotFound(error) || hasCode(error, 'PROTOCOL')) return
          throw error
        })
        if (size !== undefined) yield {digest, mediaType: MEDIA_TYPE.octetStream, size}
      }
    }
  }

  async close(): Promise<void> {
    await this.#context.index.close()
    await this.#context.files.syncDirs()
  }

  /**
   * Removes blobs that no manifest reaches, and unfinished files of writers that died. Safe beside writers: young blobs
   * stay, and a push that counts on an old one touches it first.
   * @throws IntegrityError when a manifest cannot be read; nothing is removed then
   */
  async collectGarbage(options: GarbageOptions = {}): Promise<GarbageReport> {
    throwIfAborted(options.signal)
    return new GarbageCollector(this.#context, this.#manifestFiles, this.#clock, options).run()
  }

  async *manifestDigests({signal}: CallOptions = {}): AsyncIterable<Descriptor> {
    const index = await this.#context.index.read(signal)
    const digests = new Set(index.digests())
    for (const digest of digests) {
      throwIfAborted(signal)
      const [entry] = index.ofDigest(digest)
      if (entry) yield descriptorOfEntry(entry)
    }

    for await (const child of this.#manifestFiles.walk(index)) {
      throwIfAborted(signal)
      if (digests.has(child.digest)) continue
      digests.add(child.digest)
      if (await exists(this.#context, child.digest)) yield child
    }
  }

  async ping({signal}: CallOptions = {}): Promise<void> {
    await this.#context.index.read(signal)
  }

  async *referrers(subject: Digest, {signal}: CallOptions = {}): AsyncIterable<Descriptor> {
    const index = await this.#context.index.read(signal)
    yield* await this.#referrers.of(subject, index, () => this.manifestDigests({signal}), signal)
  }

  async sortedTags({signal}: CallOptions = {}): Promise<readonly string[]> {
    return (await this.#context.index.read(signal)).sortedTags()
  }

  async *tags({signal}: CallOptions = {}): AsyncIterable<string> {
    for (const tag of await this.sortedTags({signal})) {
      throwIfAborted(signal)
      yield tag
    }

    throwIfAborted(signal)
  }
}

async function exists({files}: LayoutContext, digest: Digest): Promise<boolean> {
  return sizeOfBlob(files, digest).then(
    () => true,
    (error: unknown) => {
      if (isNotFound(error)) return false
      throw error
    },
  )
}

async function* namesOf(dir: string): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(dir)) yield entry.name
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw localIoError(error, 'list', join(dir))
  }
}
