import type {Readable} from 'node:stream'

import type {Descriptor} from '../descriptor.js'
import type {ByteRange, CallOptions} from '../interfaces.js'
import type {HttpResponse} from '../transport/http.js'
import type {RemoteContext} from './context.js'
import type {OpenedBody} from './resumable.js'

import {IntegrityError, InvalidArgumentError, ProtocolError, UnsupportedError} from '../../errors.js'
import {abortable} from '../../util/abort.js'
import {collect} from '../../util/collect.js'
import {HELD_BYTES, readableOf} from '../../util/content-source.js'
import {expectStatus} from '../errors.js'
import {cutRange} from '../local/range.js'
import {discard} from '../transport/body.js'
import {checkContent, verified} from '../verify-stream.js'
import {checkDigestHeader, contentLength, contentRange, refuseEncoding, unsatisfiedTotal} from './headers.js'
import {ResumableBody} from './resumable.js'

interface Span {
  /** First byte behind it. */
  readonly end: number
  readonly start: number
}

interface OpenedRange extends OpenedBody {
  readonly end: number
  /** Bytes that come, where they are the range alone and their number was announced. */
  readonly length?: number | undefined
}

/** Reads blobs and ranges of them. */
export class BlobReader {
  readonly #context: RemoteContext
  readonly #sizeOf: (target: Descriptor, options: CallOptions) => Promise<number>

  /** @param sizeOf asks the registry for the size of a blob */
  constructor(context: RemoteContext, sizeOf: (target: Descriptor, options: CallOptions) => Promise<number>) {
    this.#context = context
    this.#sizeOf = sizeOf
  }

  /**
   * Only a 206 whose Content-Range says exactly what was asked for is taken as the range. A registry that answers 200
   * sends the whole blob: it is read away up to the range, if that is not more than `maxSkipBytes`, and cut behind it.
   */
  async range(target: Descriptor, range: ByteRange, {signal}: CallOptions): Promise<Readable> {
    const what = `blob ${target.digest}`
    const {end, start} = cutRange(range, target.size < 0 ? Number.POSITIVE_INFINITY : target.size, what)
    let opened = await this.#openRange(target, {end, start}, signal)
    if (opened.length !== undefined && opened.length <= HELD_BYTES) {
      const bytes = await this.#little(opened.body, what, signal)
      if (bytes) return readableOf(bytes)
      opened = await this.#openRange(target, {end: opened.end, start}, signal)
    }

    const body = new ResumableBody({
      cut: true,
      end: opened.end,
      first: opened,
      open: async (position) => this.#openRange(target, {end: opened.end, start: position}, signal),
      policy: this.#context.policy,
      signal,
      start,
      what,
    })
    return abortable(body, signal)
  }

  /** The whole blob, checked while it passes. */
  async whole(target: Descriptor, {signal}: CallOptions): Promise<Readable> {
    const what = `blob ${target.digest}`
    const response = await this.#get(target, undefined, signal)
    try {
      if (response.status === 206) {
        throw new ProtocolError(`${what}: answered with a part of it (206), the whole was asked for`)
      }

      refuseEncoding(response, what)
      checkDigestHeader(response, target.digest, what)
      checkLength(contentLength(response), target)
    } catch (error) {
      await discard(response.body)
      throw error
    }

    const length = contentLength(response)
    const end = target.size < 0 ? length : target.size
    const open = async (position: number): Promise<OpenedBody> =>
      end === undefined
        ? this.#again(target, position, signal)
        : this.#openRange(target, {end, start: position}, signal)
    let first: OpenedBody = {body: response.body, skip: 0}
    if (length !== undefined && length <= HELD_BYTES) {
      const bytes = await this.#little(response.body, what, signal)
      if (bytes) {
        checkContent(bytes, target)
        return readableOf(bytes)
      }

      first = await open(0)
    }

    const body = new ResumableBody({
      cut: false,
      end,
      first,
      open,
      policy: this.#context.policy,
      signal,
      start: 0,
      what,
    })
    return abortable(verified(body, target), signal)
  }

  /** Without a known end no range can be asked for: the bytes before the break are read again and thrown away. */
  async #again(target: Descriptor, position: number, signal: AbortSignal | undefined): Promise<OpenedBody> {
    const {body} = await this.#get(target, undefined, signal)
    return {body, skip: position}
  }

  /** The end of the range within a body that is the whole blob. */
  #cutWhole(response: HttpResponse, {digest, size}: Descriptor, {end, start}: Span): number {
    const {maxSkipBytes} = this.#context
    const total = size < 0 ? contentLength(response) : size
    if (total !== undefined && start >= total) throw beyond(digest, start, total)
    if (start <= maxSkipBytes) return total === undefined ? end : Math.min(end, total)
    throw new UnsupportedError(`blob ${digest}: the registry ignores ranges and this one starts at byte ${start}`, {
      facts: {digest, limit: maxSkipBytes, offset: start},
      suggestions: ['Read the whole blob instead, or use a registry (or a proxy before it) that serves ranges.'],
    })
  }

  async #get(target: Descriptor, span: Span | undefined, signal: AbortSignal | undefined): Promise<HttpResponse> {
    const response = await this.#context.send({
      access: 'pull',
      method: 'GET',
      signal,
      url: this.#context.urls.blob(target.digest),
      ...(span && {headers: {range: `bytes=${span.start}-${span.end - 1}`}}),
    })
    return expectStatus(response, span ? [200, 206, 416] : [200, 206], 'GET')
  }

  /** Little content, taken at once. @returns none when it broke on its way, and may be asked for again now */
  async #little(body: Readable, what: string, signal: AbortSignal | undefined): Promise<Buffer | undefined> {
    try {
      return await collect(body, {limit: HELD_BYTES, what})
    } catch (error) {
      const {policy} = this.#context
      const delay = signal?.aborted ? undefined : policy.delayFor(1, {error})
      if (delay === undefined) throw error
      await policy.pause(delay, signal)
      return undefined
    }
  }

  async #openRange(target: Descriptor, span: Span, signal: AbortSignal | undefined): Promise<OpenedRange> {
    const what = `blob ${target.digest}`
    const response = await this.#get(target, span, signal)
    if (response.status === 416) return this.#refused(target, {response, span}, signal)
    try {
      refuseEncoding(response, what)
      if (response.status === 206) {
        this.#context.capabilities.ranges = 'yes'
        const end = checkRange(response, target, span)
        return {body: response.body, end, length: contentLength(response), skip: 0}
      }

      this.#context.capabilities.ranges = 'ignored'
      checkLength(contentLength(response), target)
      const end = this.#cutWhole(response, target, span)
      return {body: response.body, end, skip: span.start}
    } catch (error) {
      // Most of a whole blob is behind the range: dropping the connection is cheaper than reading it.
      response.body.destroy()
      throw error
    }
  }

  /** 416: the range is beyond the end, or the registry does not cut one that reaches beyond it. */
  async #refused(
    target: Descriptor,
    {response, span}: {readonly response: HttpResponse; readonly span: Span},
    signal: AbortSignal | undefined,
  ): Promise<OpenedRange> {
    await discard(response.body)
    const size = unsatisfiedTotal(response) ?? (await this.#sizeOf(target, {signal}))
    if (target.size >= 0 && size !== target.size) checkLength(size, target)
    if (span.start >= size) throw beyond(target.digest, span.start, size)
    if (span.end > size) return this.#openRange({...target, size}, {end: size, start: span.start}, signal)
    throw new ProtocolError(
      `blob ${target.digest}: range ${span.start}-${span.end - 1} of ${size} bytes was refused as not satisfiable (416)`,
      {facts: {digest: target.digest, offset: span.start, size, status: 416}},
    )
  }
}

/** @returns the first byte behind the range that was sent */
function checkRange(response: HttpResponse, {digest, size}: Descriptor, span: Span): number {
  const what = `blob ${digest}`
  const sent = contentRange(response)
  if (!sent) throw new ProtocolError(`${what}: a part of it (206) came without a Content-Range that says which`)
  const {end: last, start, total} = sent
  if (size >= 0 && total !== undefined && total !== size) checkLength(total, {digest, size})
  // A range of unknown size may be cut at the end of the content, nowhere else.
  const cut = size < 0 && total !== undefined && last === total - 1 && last < span.end - 1
  if (start !== span.start || (last !== span.end - 1 && !cut)) {
    throw new ProtocolError(`${what}: asked for bytes ${span.start}-${span.end - 1}, got ${start}-${last}`, {
      facts: {actual: `${start}-${last}`, digest, expected: `${span.start}-${span.end - 1}`},
    })
  }

  const length = contentLength(response)
  if (length === undefined || length === last - start + 1) return last + 1
  throw new ProtocolError(`${what}: ${last - start + 1} bytes of a range came with Content-Length ${length}`)
}

function checkLength(length: number | undefined, {digest, size}: Pick<Descriptor, 'digest' | 'size'>): void {
  if (length === undefined || size < 0 || length === size) return
  throw new IntegrityError(`blob ${digest} has ${length} bytes in the registry, expected ${size}`, {
    facts: {actualSize: length, expected: digest, expectedSize: size},
    suggestions: ['Check the store: what the registry holds under this digest is not what was pushed.'],
  })
}

function beyond(digest: string, offset: number, size: number): InvalidArgumentError {
  return new InvalidArgumentError(`blob ${digest}: range starts at ${offset}, beyond the content of ${size} bytes`, {
    facts: {digest, offset, size},
  })
}
