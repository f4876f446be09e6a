import type {CallOptions, ReferrerLister, Repository, TimeTeller} from '../interfaces.js'
import type {HttpClient} from '../transport/http.js'

import {ProtocolError} from '../../errors.js'
import {type Descriptor} from '../descriptor.js'
import {type Digest} from '../digest.js'
import {expectStatus, RegistryResponseError} from '../errors.js'
import {originOf, type Reference} from '../reference.js'
import {discard, readBounded} from '../transport/body.js'
import {RetryPolicy} from '../transport/retry.js'
import {RemoteBlobs} from './blobs.js'
import {type Capabilities} from './capabilities.js'
import {RemoteContext} from './context.js'
import {mediaTypeOf} from './headers.js'
import {RemoteManifests} from './manifests.js'
import {listReferrers} from './referrers.js'
import {registryTime} from './registry-time.js'
import {readTagPage} from './tag-page.js'
import {type TagLimits, TagWalker} from './tag-walker.js'
import {UploadSession} from './upload-session.js'

export interface RemoteRepositoryOptions {
  /** Bytes of one chunk, for registries that refuse a blob in one piece. Default 4 MiB. */
  readonly chunkBytes?: number | undefined
  /** Requests at once in walks of our own. Default 16. */
  readonly concurrency?: number | undefined
  /** Ask for every blob and manifest again after it was written, before it counts. Default false. */
  readonly durable?: boolean | undefined
  readonly limits?: Partial<TagLimits> | undefined
  /**
   * Where a registry ignores ranges: how many bytes before a range are read and thrown away rather than refuse it.
   * Default 128 MiB, twice the largest packfile.
   */
  readonly maxSkipBytes?: number | undefined
  /** Where the registry is served; default: https, or http when it is this machine. */
  readonly origin?: undefined | URL
  /** Refuses every write before it leaves this process. */
  readonly readOnly?: boolean | undefined
  readonly retry?: RetryPolicy | undefined
}

const DEFAULTS = {chunkBytes: 4 * 1024 * 1024, concurrency: 16, maxSkipBytes: 128 * 1024 * 1024} as const

/** A repository of a registry, over HTTP. */
export class RemoteRepository implements ReferrerLister, Repository, TimeTeller {
  readonly blobs: RemoteBlobs
  readonly location: string
  readonly manifests: RemoteManifests
  readonly #context: RemoteContext
  readonly #tags: TagWalker

  /** @param client speaks to the registry of `reference`; it is closed with the repository */
  constructor(reference: Reference, client: HttpClient, options: RemoteRepositoryOptions = {}) {
    const {registry, repository} = reference
    this.location = `oci://${registry}/${repository}`
    this.#context = new RemoteContext({
      baseUrl: options.origin ?? originOf(registry),
      chunkBytes: options.chunkBytes ?? DEFAULTS.chunkBytes,
      client,
      concurrency: options.concurrency ?? DEFAULTS.concurrency,
      durable: options.durable ?? false,
      location: this.location,
      maxSkipBytes: options.maxSkipBytes ?? DEFAULTS.maxSkipBytes,
      name: repository,
      policy: options.retry ?? new RetryPolicy(),
      readOnly: options.readOnly ?? false,
    })
    this.#tags = new TagWalker(this.#context, options.limits)
    this.blobs = new RemoteBlobs(this.#context)
    this.manifests = new RemoteManifests({blobs: this.blobs, context: this.#context, tags: this.#tags})
  }

  /** What has been learnt about the registry so far. */
  get capabilities(): Readonly<Capabilities> {
    return this.#context.capabilities
  }

  /** Reads the shortest list of tags, and, when nothing was pushed yet, starts an upload and ends it at once. */
  async access({signal}: CallOptions = {}): Promise<{readonly read: boolean; readonly write: boolean}> {
    return {read: await this.#canRead({signal}), write: await this.#canWrite({signal})}
  }

  async close(): Promise<void> {
    this.#context.client.close()
  }

  /** @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support */
  async ping({signal}: CallOptions = {}): Promise<void> {
    const url = this.#context.urls.api
    const response = await this.#context.send({access: 'pull', method: 'GET', signal, url})
    await expectStatus(response, [200], 'GET')
    const {bytes} = await readBounded(response.body)
    if (mediaTypeOf(response) !== 'text/html' && !/^\s*</.test(bytes.toString('latin1'))) return
    throw new ProtocolError(`GET ${url.href}: a web page answers there, not a registry`, {
      suggestions: ['Check host and port: a login page or a proxy may stand before the registry.'],
    })
  }

  referrers(subject: Digest, options: CallOptions = {}): AsyncIterable<Descriptor> {
    return listReferrers(this.#context, this.manifests, subject, options)
  }

  tags(options: CallOptions = {}): AsyncIterable<string> {
    return this.#tags.walk(options)
  }

  /** By the Date header of its answer. */
  async time({signal}: CallOptions = {}): Promise<number | undefined> {
    return registryTime(this.#context, {signal})
  }

  async #canRead(options: CallOptions): Promise<boolean> {
    return allowed(async () => readTagPage(this.#context, this.#context.urls.tags({n: 1}), options))
  }

  async #canWrite({signal}: CallOptions): Promise<boolean> {
    if (this.#context.readOnly) return false
    if (this.#context.capabilities.pushed) return true
    return allowed(async () => {
      const url = this.#context.urls.uploads
      const response = await this.#context.send({access: 'push', method: 'POST', retry: 'safe', signal, url})
      await expectStatus(response, [202], 'POST')
      await discard(response.body)
      await new UploadSession(this.#context, response).cancel()
    })
  }
}

/** False when the credentials do not allow it, or the registry is read-only. */
async function allowed(operation: () => Promise<unknown>): Promise<boolean> {
  try {
    await operation()
    return true
  } catch (error) {
    if (error instanceof RegistryResponseError && [401, 403, 405].includes(error.status)) return false
    throw error
  }
}
