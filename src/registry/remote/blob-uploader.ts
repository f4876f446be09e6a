import type {ContentSource} from '../../util/content-source.js'
import type {Descriptor} from '../descriptor.js'
import type {CallOptions, PushOptions} from '../interfaces.js'
import type {HttpResponse} from '../transport/http.js'
import type {RemoteContext} from './context.js'

import {IntegrityError, KlosetOciError, ProtocolError} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {bufferSource} from '../../util/content-source.js'
import {algorithmOf, type Digest} from '../digest.js'
import {expectStatus, RegistryResponseError, responseError, TransportError} from '../errors.js'
import {checkPushTarget} from '../local/push.js'
import {discard} from '../transport/body.js'
import {retrying} from '../transport/retry.js'
import {checkedChunks, checkedSource} from './checked-source.js'
import {checkDigestHeader} from './headers.js'
import {SingleFlight} from './single-flight.js'
import {UploadSession} from './upload-session.js'

/** The smallest chunk that is tried. */
const MIN_CHUNK_BYTES = 256 * 1024
/** The largest that is kept in memory for a registry that wants no smaller ones. */
const MAX_CHUNK_BYTES = 128 * 1024 * 1024
/** After so many lost connections in one push, chunks are tried: some proxies cut a large body without a word. */
const LOST_BEFORE_CHUNKS = 2

type SizeOf = (digest: Digest, options: CallOptions) => Promise<number | undefined>

/** What one push has met so far. */
interface PushState {
  /** Send in chunks whatever is known about the registry. */
  chunked: boolean
  lost: number
  restarts: number
  /** How the last try went out: what is known about the registry by now may be what other pushes have learnt meanwhile. */
  tried: {readonly bytes: number; readonly chunked: boolean}
}

/**
 * Sends blobs. In one piece first (POST, PUT), in chunks where the registry refuses that; a failure begins again at the
 * POST, and an upload that is given up is cancelled.
 */
export class BlobUploader {
  readonly #context: RemoteContext
  readonly #flights = new SingleFlight<boolean>()
  #proving = false
  readonly #sizeOf: SizeOf

  /** @param sizeOf asks the registry for the size of a blob; undefined when it is not there */
  constructor(context: RemoteContext, sizeOf: SizeOf) {
    this.#context = context
    this.#sizeOf = sizeOf
  }

  async push(target: Descriptor, source: ContentSource, options: PushOptions): Promise<boolean> {
    checkPushTarget(target, source)
    const {signal} = options
    const operation = async () => this.#push(target, source, options)
    // One who wants the bytes sent is not served by one who only looked.
    const key = options.force ? `force ${target.digest}` : target.digest
    const {led, value} = await this.#flights.run(key, operation, signal)
    return led && value
  }

  /** Whether to begin again at once, in another way or because the registry has lost the upload. */
  #another(error: unknown, target: Descriptor, state: PushState): boolean {
    if (!(error instanceof RegistryResponseError)) return false
    const {capabilities} = this.#context
    if (refusesSize(error)) {
      const {bytes, chunked} = state.tried
      if (bytes <= MIN_CHUNK_BYTES) return false
      if (!chunked) capabilities.monolithicLimit = Math.min(capabilities.monolithicLimit, target.size - 1)
      if (chunked || bytes <= capabilities.chunkBytes) {
        capabilities.chunkBytes = Math.max(MIN_CHUNK_BYTES, Math.min(capabilities.chunkBytes, Math.ceil(bytes / 2)))
      }

      return true
    }

    return losesUpload(error) && ++state.restarts === 1
  }

  /**
   * Starts an upload, unless the blob is there.
   *
   * The check costs nothing where it can be had with the start itself: a mount "from this repository" is answered 201
   * when the blob is there, else 202 with an upload (distribution, zot). Until both answers were seen and confirmed,
   * and where they are not to be trusted, a HEAD decides.
   */
  async #begin(target: Descriptor, {force, signal}: PushOptions): Promise<undefined | UploadSession> {
    const {capabilities, name, urls} = this.#context
    const {digest} = target
    const mode = force ? 'force' : capabilities.mountTells
    if (mode === 'no' && (await this.#isThere(target, signal))) return undefined
    if (mode === 'force' || mode === 'no') return this.#start(digest, signal)
    const response = await this.#post(urls.mount(digest, name), signal)
    if (response.status !== 201 && response.status !== 202) {
      if (response.status === 429 || response.status >= 500) throw await responseError(response, 'POST')
      await discard(response.body)
      capabilities.noteMount('refused', false)
      return (await this.#isThere(target, signal)) ? undefined : this.#start(digest, signal)
    }

    await discard(response.body)
    const accepted = response.status === 201
    if (mode === 'yes') return accepted ? undefined : new UploadSession(this.#context, response)
    return this.#beginUnproven(target, {accepted, response, signal})
  }

  async #beginUnproven(
    target: Descriptor,
    answer: {accepted: boolean; response: HttpResponse; signal: AbortSignal | undefined},
  ): Promise<undefined | UploadSession> {
    const {accepted, response, signal} = answer
    const session = accepted ? undefined : new UploadSession(this.#context, response)
    try {
      const there = await this.#isThere(target, signal)
      this.#context.capabilities.noteMount(accepted ? 'accepted' : 'declined', there)
      if (there) {
        await session?.cancel()
        return undefined
      }
    } catch (error) {
      await session?.cancel()
      throw error
    }

    return session ?? this.#start(target.digest, signal)
  }

  /** @throws IntegrityError when the registry does not hold what it has just acknowledged */
  async #confirm({digest, size}: Descriptor, signal: AbortSignal | undefined): Promise<void> {
    const actual = await this.#sizeOf(digest, {signal})
    if (actual === size) return
    const found = actual === undefined ? 'is not there' : `has ${actual} bytes`
    throw new IntegrityError(`blob ${digest} ${found} after it was pushed, expected ${size} bytes`, {
      facts: {digest, expectedSize: size, ...(actual !== undefined && {actualSize: actual})},
      suggestions: ['The registry acknowledged it: look at its log and storage, and restart it if it caches blobs.'],
    })
  }

  #inChunks({size}: Descriptor, state: PushState): boolean {
    return size > 0 && (state.chunked || size > this.#context.capabilities.monolithicLimit)
  }

  /** Whether the blob is there in its full length: a shorter one is damage, and is sent again. */
  async #isThere({digest, size}: Descriptor, signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.#sizeOf(digest, {signal})) === size
  }

  async #post(url: URL, signal: AbortSignal | undefined): Promise<HttpResponse> {
    const body = bufferSource(Buffer.alloc(0))
    return this.#context.send({access: 'push', body, method: 'POST', retry: 'never', signal, url})
  }

  /** Mounts a blob that was just sent, once: the 201 that is missing to trust mounts from then on. */
  async #proveMount(digest: Digest, signal: AbortSignal | undefined): Promise<void> {
    const {capabilities, name, urls} = this.#context
    if (this.#proving || !capabilities.wantsMountProof) return
    this.#proving = true
    try {
      const response = await this.#post(urls.mount(digest, name), signal)
      await discard(response.body)
      if (response.status === 201) capabilities.noteMount('accepted', true)
      else if (response.status < 500 && response.status !== 429) capabilities.noteMount('refused', true)
      if (response.status === 202) await new UploadSession(this.#context, response).cancel()
    } catch (error) {
      throwIfAborted(signal)
      // The blob is stored: what could not be learnt now is learnt next time.
      if (!(error instanceof KlosetOciError)) throw error
    } finally {
      this.#proving = false
    }
  }

  async #push(target: Descriptor, source: ContentSource, options: PushOptions): Promise<boolean> {
    const {signal} = options
    const state: PushState = {chunked: false, lost: 0, restarts: 0, tried: {bytes: target.size, chunked: false}}
    const sent = await this.#retrying(async () => this.#try(target, source, options, state), signal)
    if (this.#context.durable) await this.#confirm(target, signal)
    if (sent && !options.force) await this.#proveMount(target.digest, signal)
    return sent
  }

  async #retrying<T>(operation: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    let attempts = 0
    const counted = async () => {
      attempts += 1
      return operation()
    }

    try {
      return await retrying(counted, this.#context.policy, signal)
    } catch (error) {
      throw error instanceof TransportError ? error.withAttempts(attempts) : error
    }
  }

  async #sendChunks(
    session: UploadSession,
    target: Descriptor,
    source: ContentSource,
    {signal, state}: {readonly signal: AbortSignal | undefined; readonly state: PushState},
  ): Promise<void> {
    const size = Math.max(this.#context.capabilities.chunkBytes, session.minChunkBytes)
    state.tried = {bytes: Math.min(size, target.size), chunked: true}
    if (size > MAX_CHUNK_BYTES) {
      throw new ProtocolError(
        `push of ${target.digest}: the registry wants chunks of ${size} bytes, more than ${MAX_CHUNK_BYTES}`,
        {facts: {limit: MAX_CHUNK_BYTES, size}},
      )
    }

    for await (const {bytes, offset} of checkedChunks(source, target, size)) {
      throwIfAborted(signal)
      const response = await session.patch(bytes, offset, signal)
      if (response.status < 200 || response.status >= 300) throw await responseError(response, 'PATCH')
    }
  }

  async #start(digest: Digest, signal: AbortSignal | undefined): Promise<UploadSession> {
    const url = this.#context.urls.uploads
    const algorithm = algorithmOf(digest)
    if (algorithm !== 'sha256') url.searchParams.set('digest-algorithm', algorithm)
    const response = await expectStatus(await this.#post(url, signal), [202], 'POST')
    await discard(response.body)
    return new UploadSession(this.#context, response)
  }

  async #transfer(
    session: UploadSession,
    target: Descriptor,
    source: ContentSource,
    {signal, state}: {readonly signal: AbortSignal | undefined; readonly state: PushState},
  ): Promise<void> {
    const chunked = this.#inChunks(target, state)
    if (chunked) await this.#sendChunks(session, target, source, {signal, state})
    else state.tried = {bytes: target.size, chunked: false}
    const response = await session.finish(target.digest, chunked ? undefined : checkedSource(source, target), signal)
    await expectStatus(response, [200, 201, 202, 204], 'PUT')
    await discard(response.body)
    checkDigestHeader(response, target.digest, `push of ${target.digest}`)
    // Anything but 201 is no promise.
    if (response.status !== 201) await this.#confirm(target, signal)
  }

  /** One try; what only another way of sending can help begins again here, without counting as a failure. */
  async #try(target: Descriptor, source: ContentSource, options: PushOptions, state: PushState): Promise<boolean> {
    for (;;) {
      const session = await this.#begin(target, options)
      if (!session) return false
      try {
        await this.#transfer(session, target, source, {signal: options.signal, state})
        return true
      } catch (error) {
        await session.cancel()
        throwIfAborted(options.signal)
        if (error instanceof TransportError && ++state.lost >= LOST_BEFORE_CHUNKS) {
          state.chunked ||= target.size > this.#context.capabilities.chunkBytes
        }

        if (!this.#another(error, target, state)) throw error
      }
    }
  }
}

/** The piece was too large: said plainly (413), or as a range that cannot be (416), or in words. */
function refusesSize({diagnostics, method, status}: RegistryResponseError): boolean {
  if (method !== 'PUT' && method !== 'PATCH') return false
  if (status === 413 || status === 416) return true
  return status === 400 && diagnostics.some(({message}) => /too (?:large|big|long)|exceeds|chunk/i.test(message))
}

/** The registry does not know the upload any more, or got other bytes than were sent: once more from the start. */
function losesUpload(error: RegistryResponseError): boolean {
  if (error.method !== 'PUT' && error.method !== 'PATCH') return false
  return (
    error.status === 404 ||
    ['BLOB_UPLOAD_INVALID', 'BLOB_UPLOAD_UNKNOWN', 'DIGEST_INVALID', 'SIZE_INVALID'].some((code) => error.names(code))
  )
}
