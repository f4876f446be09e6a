import type {IncomingMessage} from 'node:http'

import {DrainableStream, Pump, type Sink} from '../../util/drain.js'
import {RawBody} from './raw-body.js'

export interface BodyStreamOptions {
  /** Called once, when the last byte is in or none will come any more. */
  readonly done: (bytes: number, error: Error | undefined) => void
  /** Turns Node's error into the one the reader shall see. */
  readonly explain: (error: unknown) => Error
  readonly idle: () => Error
  /** A reader that waits longer than this for a byte gets `idle()`. A reader that does not ask is never timed. */
  readonly idleMs: number
  readonly source: IncomingMessage
}

/** Shorter bodies are not worth it. */
const RAW_FROM_BYTES = 256 * 1024

/** Read ahead of the reader: enough to keep the network busy while a chunk is hashed. */
const HIGH_WATER_MARK_BYTES = 256 * 1024

/**
 * The body of an answer. Errors come out explained, a stalled peer is noticed, and nothing of the request behind it
 * (headers, socket) can be reached or printed through it. A short body frees its connection even when nobody reads it.
 */
export class BodyStream extends DrainableStream {
  #bytes = 0
  #done = false
  readonly #options: BodyStreamOptions
  #pump: Pump | undefined
  readonly #raw: RawBody | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: BodyStreamOptions) {
    super({highWaterMark: HIGH_WATER_MARK_BYTES})
    this.#options = options
    const {explain, source} = options
    this.#raw = this.#takeOver()
    source.on('data', (chunk: Buffer) => {
      if (!this.#accept(chunk)) source.pause()
    })
    source.once('end', () => {
      this.#finish()
      this.push(null)
    })
    source.on('error', (error) => this.destroy(explain(error)))
    source.once('close', () => {
      if (!this.#done) this.destroy(explain(Object.assign(new Error('aborted'), {code: 'ECONNRESET'})))
    })
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#finish(error ?? undefined)
    this.#options.source.destroy()
    callback(error)
  }

  override _read(): void {
    if (!this.#pump) this.#resume()
  }

  protected override async giveAll(sink: Sink): Promise<void> {
    const early = this.readableLength > 0 ? (this.read() as Buffer | null) : null
    this.#pump = new Pump(this, sink, () => this.#resume())
    this.#raw?.borrow()
    if (early && !this.#pump.give(early)) this.#pause()
    else this.#resume()
    // For its end to be told.
    this.resume()
    await this.#pump.ended()
  }

  #accept(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    this.#disarm()
    if (!this.#pump) return this.push(chunk)
    const isReady = this.#pump.give(chunk)
    if (isReady) this.#arm()
    return isReady
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => this.destroy(this.#options.idle()), this.#options.idleMs)
  }

  #disarm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #finish(error?: Error): void {
    this.#disarm()
    if (this.#done) return
    this.#done = true
    this.#options.done(this.#bytes, error)
  }

  #pause(): void {
    this.#options.source.pause()
    this.#raw?.pause()
  }

  #resume(): void {
    if (this.#done) return
    this.#arm()
    this.#options.source.resume()
    this.#raw?.resume()
  }

  /** A long body whose length is known comes from the socket, after what has come of it already. */
  #takeOver(): RawBody | undefined {
    const {source} = this.#options
    const {'content-length': length = 0, 'transfer-encoding': coding} = source.headers
    if (coding !== undefined || Number(length) < RAW_FROM_BYTES || source.readableFlowing !== null) return undefined
    const first = (source.read() as Buffer | null) ?? Buffer.alloc(0)
    const onPiece = (piece: Buffer) => this.#accept(piece)
    const raw = RawBody.of({onPiece, remaining: Number(length) - first.length, source})
    if (first.length > 0) this.#accept(first)
    return raw
  }
}
