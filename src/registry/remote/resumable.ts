import type {Readable} from 'node:stream'

import type {RetryPolicy} from '../transport/retry.js'

import {IntegrityError} from '../../errors.js'
import {drain, DrainableStream, type Sink} from '../../util/drain.js'
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
export class ResumableBody extends DrainableStream {
  #attempt = 1
  #body: Readable | undefined
  #brokenAt: number
  #isListening = false
  readonly #listeners = {
    data: (chunk: Buffer) => this.#accept(chunk),
    end: () => this.#finish(),
    error: (error: Error) => {
      this.#goOn(error).catch((error_: Error) => this.destroy(error_))
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
    this.#listen()
    this.#body?.resume()
  }

  protected override async giveAll(sink: Sink): Promise<void> {
    for (let body = this.#body; body; body = this.#body) {
      const failure = await this.#pour(body, sink)
      if (!failure) break
      if (this.destroyed) throw failure
      await this.#reopen(failure)
    }

    this.#checkEnd()
  }

  #accept(chunk: Buffer): void {
    const {isLast, piece} = this.#wanted(chunk)
    const hasRoom = piece.length === 0 || this.push(piece)
    if (isLast) {
      const body = this.#detach()
      this.push(null)
      // Its end is near when it is the range and nothing more: then the connection is kept.
      if (body) discard(body).catch(() => {})
    } else if (!hasRoom) this.#body?.pause()
  }

  /** @throws IntegrityError when the body has ended before the range did */
  #checkEnd(): void {
    const {cut, end, start, what} = this.#options
    if (!cut || end === undefined || this.#position >= end) return
    const facts = {actualSize: this.#position - start, expectedSize: end - start}
    throw new IntegrityError(`${what}: ended after ${facts.actualSize} bytes, expected ${facts.expectedSize}`, {facts})
  }

  /** Nobody listens to the body any more, whatever it still reports. */
  #detach(): Readable | undefined {
    const body = this.#body
    this.#body = undefined
    this.#isListening = false
    if (!body) return undefined
    for (const [event, listener] of Object.entries(this.#listeners)) body.off(event, listener)
    body.on('error', () => {})
    return body
  }

  #finish(): void {
    this.#detach()
    try {
      this.#checkEnd()
      this.push(null)
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  /** Goes on with what is asked for anew, or ends where all had come before the body broke. */
  async #goOn(error: Error): Promise<void> {
    await this.#reopen(error)
    if (this.#body) {
      this.#listen()
    } else {
      this.push(null)
    }
  }

  #listen(): void {
    const body = this.#body
    if (!body || this.#isListening) return
    this.#isListening = true
    for (const [event, listener] of Object.entries(this.#listeners)) body.on(event, listener)
    // It may have broken before anyone looked.
    if (body.errored) this.#listeners.error(body.errored)
  }

  /** Gives what is wanted of one body to the sink. @returns what it broke with. @throws what the sink fails with */
  async #pour(body: Readable, sink: Sink): Promise<Error | undefined> {
    let isOver = false
    let work: Promise<void> | undefined
    try {
      await drain(body, (chunk) => {
        // More than the range: the connection is given up.
        if (isOver) throw new Error('enough')
        const {isLast, piece} = this.#wanted(chunk)
        isOver = isLast
        work = piece.length > 0 ? attempt(sink, piece) : undefined
        return work
      })
    } catch (error) {
      // A body can break while the sink is at work.
      await work
      return isOver ? undefined : (error as Error)
    }

    return undefined
  }

  /** Asks again, from where the body broke, if there is anything left to ask for. @throws when it is not to be tried again */
  async #reopen(error: Error): Promise<void> {
    this.#detach()?.destroy()
    const {end, open, policy, signal} = this.#options
    if (end !== undefined && this.#position >= end) return
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
    // A body that nobody reads yet may break.
    body.on('error', () => {})
  }

  /** What of a piece is wanted, and whether that was the last of it. */
  #wanted(chunk: Buffer): {readonly isLast: boolean; readonly piece: Buffer} {
    const unread = this.#skip > 0 ? chunk.subarray(Math.min(this.#skip, chunk.length)) : chunk
    this.#skip -= chunk.length - unread.length
    const {cut, end} = this.#options
    const isLast = cut && end !== undefined && this.#position + unread.length >= end
    const piece = isLast ? unread.subarray(0, end - this.#position) : unread
    this.#position += piece.length
    return {isLast, piece}
  }
}

/** What a sink does with a piece, also its failure at once, as a promise; none when it is done already. */
function attempt(sink: Sink, piece: Buffer): Promise<void> | undefined {
  try {
    return sink(piece) ?? undefined
  } catch (error) {
    return (async () => {
      throw error
    })()
  }
}
