import type {CallOptions, Repository} from './interfaces.js'
import type {HttpClientOptions} from './transport/options.js'

import {InvalidReferenceError} from '../errors.js'
import {formatReference, originOf, parseLocation, type Reference} from './reference.js'

export type {RequestEvent, RequestObserver, RetryOptions, Timeouts, TlsOptions} from './transport/options.js'

/** Options of both backends; each takes what concerns it. */
export interface RepositoryOptions extends CallOptions, Omit<HttpClientOptions, 'origin' | 'registry' | 'repository'> {
  /** Bytes of one chunk, for registries that refuse a blob in one piece. Default 4 MiB. */
  readonly chunkBytes?: number | undefined
  /** Makes an image-layout directory when there is none. A registry makes a repository when it is first pushed to. */
  readonly create?: boolean | undefined
  /**
   * A registry: ask for every blob and manifest again after it was written, before it counts (default false).
   * A layout: fsync (default true).
   */
  readonly durable?: boolean | undefined
  /** Milliseconds that a write waits for another process that holds a layout's lock. */
  readonly lockWaitMs?: number | undefined
  /** Where a registry ignores ranges: bytes before a range that are read and thrown away. Default 128 MiB. */
  readonly maxSkipBytes?: number | undefined
  /** http also for a registry on another machine; false: https also for this one. */
  readonly plainHttp?: boolean | undefined
  /** Refuses every write before it leaves this process. */
  readonly readOnly?: boolean | undefined
}

/**
 * Opens the repository behind a location: `oci://host[:port]/path` or `oci-layout:PATH`. The one place that knows which
 * backend serves it; the code of the other one is not loaded. A registry is not contacted yet.
 * @throws InvalidReferenceError | InvalidArgumentError before anything is contacted
 * @throws NotFoundError when there is no layout and `create` is not set
 */
export async function openRepository(location: string, options: RepositoryOptions = {}): Promise<Repository> {
  const parsed = parseLocation(location)
  if (parsed.kind === 'registry') return openRemote(parsed.reference, options)
  const {openLayout} = await import('./layout/open-layout.js')
  const {clock, create, durable, lockWaitMs, readOnly, signal} = options
  return openLayout(parsed.path, {clock, create, durable, lockWaitMs, readOnly, signal})
}

async function openRemote(reference: Reference, options: RepositoryOptions): Promise<Repository> {
  const {digest, registry, repository, tag} = reference
  if (digest !== undefined || tag !== undefined) {
    const whole = formatReference({registry, repository})
    throw new InvalidReferenceError(`${formatReference(reference)}: a store is a whole repository, not one tag of it`, {
      suggestions: [`Write ${whole}`],
    })
  }

  const [{createHttpClient, retryPolicyOf}, {RemoteRepository}] = await Promise.all([
    import('./transport/client.js'),
    import('./remote/remote-repository.js'),
  ])
  const {chunkBytes, concurrency, durable, maxSkipBytes, plainHttp, readOnly} = options
  const origin = originOf(registry, {plainHttp})
  const retry = retryPolicyOf(options)
  const client = createHttpClient({...options, origin, registry, repository}, retry)
  return new RemoteRepository(reference, client, {
    chunkBytes,
    concurrency,
    durable,
    maxSkipBytes,
    origin,
    readOnly,
    retry,
  })
}
