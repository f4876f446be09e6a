import {Readable} from 'node:stream'

import type {RetryPolicy} from '../transport/retry.js'

import {IntegrityError} from '../../errors.js'
import {discard} from '../transport/body.js'

/** A body that begins at or before the position asked for. */
export interface OpenedBody {
  readonly body: Readable
  /** Bytes before the position, to be read away. */
  readonly skip: number
}

export interface ResumableOptions {
  /** Whether bytes beyond `end` are left unread (a 200 where a range was asked for) or passed on for the digest check. */
  readonly cut: boolean
  /** First byte behind what is wanted, when known. */
  readonly end: number | undefined
  readonly first: OpenedBody
  /** Asks again, from `position` on. */
  readonly open: (position: number) => Promise<OpenedBody>
  readonly policy: RetryPolicy
  readonly signal: AbortSignal | undefined
  readonly start: number
  /** Names the content in errors. */
  readonly what: string
}

/** That many bytes between two breaks make the count of tries begin anew. */
const PROGRESS_BYTES = 64 * 1024

/**
 * A body that survives lost connections: it asks again from the byte where it broke, as often as the retry policy
 * allows without progress. Order and number of bytes are kept; what they are is for the digest to say.
 */
export class ResumableBody extends Readable {
  #attempt = 1
  #body: Readable | undefined
  #brokenAt: number
  readonly #listeners = {
    data: (chunk: Buffer) => this.#accept(chunk),
    end: () => this.#finish(),
    error: (error: Error) => {
      this.#resume(error).catch((error_: Error) => this.destroy(error_))
    },
  }
  readonly #options: ResumableOptions
  #position: number
  #skip = 0

  constructor(options: ResumableOptions) {
    super({highWaterMark: 256 * 1024})
    this.#options = options
    this.#position = options.start
    this.#brokenAt = options.start
    this.#take(options.first)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#detach()?.destroy()
    callback(error)
  }

  override _read(): void {
    this.#body?.resume()
  }

  #accept(chunk: Buffer): void {
    const wanted = this.#skip > 0 ? chunk.subarray(Math.min(this.#skip, chunk.length)) : chunk
    this.#skip -= chunk.length - wanted.length
    if (wanted.length === 0) return
    const {cut, end} = this.#options
    if (cut && end !== undefined && this.#position + wanted.length >= end) {
      const last = wanted.subarray(0, end - this.#position)
      this.#position = end
      const body = this.#detach()
      this.push(last)
      this.push(null)
      // Its end is near when it is the range and nothing more: then the connection is kept.
      if (body) discard(body).catch(() => {})
      return
    }

    this.#position += wanted.length
    if (!this.push(wanted)) this.#body?.pause()
  }

  /** Nobody listens to the body any more, whatever it still reports. */
  #detach(): Readable | undefined {
    const body = this.#body
    this.#body = undefined
    if (!body) return undefined
    for (const [event, listener] of Object.entries(this.#listeners)) body.off(event, listener)
    body.on('error', () => {})
    return body
  }

  #finish(): void {
    this.#detach()
    const {cut, end, start, what} = this.#options
    if (cut && end !== undefined && this.#position < end) {
      const facts = {actualSize: this.#position - start, expectedSize: end - start}
      this.destroy(
        new IntegrityError(`${what}: ended after ${facts.actualSize} bytes, expected ${facts.expectedSize}`, {facts}),
      )
    } else this.push(null)
  }

  async #resume(error: Error): Promise<void> {
    this.#detach()?.destroy()
    const {end, open, policy, signal} = this.#options
    if (end !== undefined && this.#position >= end) {
      this.push(null)
      return
    }

    if (this.#position - this.#brokenAt >= PROGRESS_BYTES) this.#attempt = 1
    this.#brokenAt = this.#position
    const delay = signal?.aborted ? undefined : policy.delayFor(this.#attempt, {error})
    if (delay === undefined) throw error
    this.#attempt += 1
    await policy.pause(delay, signal)
    const next = await open(this.#position)
    if (this.destroyed) {
      next.body.on('error', () => {})
      next.body.destroy()
    } else this.#take(next)
  }

  #take({body, skip}: OpenedBody): void {
    this.#body = body
    this.#skip = skip
    for (const [event, listener] of Object.entries(this.#listeners)) body.on(event, listener)
  }
}
