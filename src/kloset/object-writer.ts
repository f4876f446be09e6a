import type {Descriptor} from '../registry/descriptor.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {ContentSource} from '../util/content-source.js'
import type {ResourceName} from './resource.js'

import {KlosetOciError} from '../errors.js'
import {bufferSource} from '../util/content-source.js'
import {buildObjectManifest, CONFIG_BLOB, CONFIG_DESCRIPTOR} from './object-manifest.js'

/** An object whose digest is known, on its way to a tag. */
export interface OutgoingObject {
  readonly layer: Descriptor
  readonly resource: ResourceName
  readonly source: ContentSource
  readonly tag: string
}

export interface WriteOptions extends CallOptions {
  /** Milliseconds since the epoch, for the manifest. */
  readonly created: number
  /** Ask whether the blob is there before it is sent. */
  readonly probe: boolean
}

/** Statuses by which a registry refuses the shape of a manifest. 404 is how some answer for a blob they miss. */
const SHAPE_REFUSED = new Set([400, 415])
const BLOB_MISSED = new Set([400, 404])

/** What has been learnt about a repository while writing: shared by every store over it. */
const writers = new WeakMap<Repository, ObjectWriter>()

/** Writes objects to one repository: blob first, manifest last, so that a tag never shows half an object. */
export class ObjectWriter {
  #artifactType = true
  #config: Promise<boolean> | undefined
  readonly #repository: Repository

  private constructor(repository: Repository) {
    this.#repository = repository
  }

  static for(repository: Repository): ObjectWriter {
    let writer = writers.get(repository)
    if (!writer) {
      writer = new ObjectWriter(repository)
      writers.set(repository, writer)
    }

    return writer
  }

  /**
   * Makes sure that the shared config blob is there: one upload a repository, however many objects are written.
   * @returns whether it had to be sent
   */
  async ensureConfigBlob({signal}: CallOptions = {}): Promise<boolean> {
    this.#config ??= this.#repository.blobs.push(CONFIG_DESCRIPTOR, bufferSource(CONFIG_BLOB), {signal})
    const pending = this.#config
    try {
      return await pending
    } catch (error) {
      // The next write asks again, whatever the reason was.
      if (this.#config === pending) this.#config = undefined
      throw error
    }
  }

  /** @returns the descriptor of the manifest that the tag now points at */
  async write(object: OutgoingObject, options: WriteOptions): Promise<Descriptor> {
    const {probe, signal} = options
    const {blobs} = this.#repository
    // Both to their end, whatever becomes of the other: the source is the caller's again afterwards.
    const uploads = await Promise.allSettled([
      this.#shareConfigBlob(signal),
      blobs.push(object.layer, object.source, {force: !probe, signal}),
    ])
    for (const upload of uploads) if (upload.status === 'rejected') throw upload.reason
    try {
      return await this.#pushManifest(object, options, this.#artifactType)
    } catch (error) {
      return this.#recover(object, options, error)
    }
  }

  async #pushManifest({layer, resource, tag}: OutgoingObject, options: WriteOptions, artifactType: boolean) {
    const {created, signal} = options
    const manifest = buildObjectManifest({artifactType, created, layer, resource, tag})
    return this.#repository.manifests.push(manifest, {signal, tag})
  }

  /**
   * A refused manifest: a blob may have gone between its upload and now (the registry's garbage collection), or the
   * registry does not take `artifactType`. Each is tried once.
   */
  async #recover(object: OutgoingObject, options: WriteOptions, refusal: unknown): Promise<Descriptor> {
    const {signal} = options
    let latest = refusal
    if (BLOB_MISSED.has(statusOf(latest))) {
      this.#config = undefined
      const sent = [
        await this.ensureConfigBlob({signal}),
        await this.#repository.blobs.push(object.layer, object.source, {signal}),
      ]
      if (sent.includes(true)) {
        try {
          return await this.#pushManifest(object, options, this.#artifactType)
        } catch (error) {
          latest = error
        }
      }
    }

    if (!SHAPE_REFUSED.has(statusOf(latest)) || !this.#artifactType) throw latest
    let pushed: Descriptor
    try {
      pushed = await this.#pushManifest(object, options, false)
    } catch {
      // Not the artifact type, then: the first answer is the one that says what is wrong.
      throw latest
    }

    this.#artifactType = false
    return pushed
  }

  /** As `ensureConfigBlob`, but the interruption of the one caller that does the upload is not the others'. */
  async #shareConfigBlob(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.ensureConfigBlob({signal})
    } catch (error) {
      const foreign = error instanceof KlosetOciError && error.code === 'INTERRUPTED' && !signal?.aborted
      if (!foreign) throw error
      await this.ensureConfigBlob({signal})
    }
  }
}

function statusOf(error: unknown): number {
  const status = error instanceof KlosetOciError ? error.facts['status'] : undefined
  return typeof status === 'number' ? status : 0
}
