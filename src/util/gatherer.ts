import type {Sink} from './drain.js'

/** Joins small pieces before a sink gets them: for sinks whose calls cost something by themselves, like a disk's. */
export class Gatherer {
  #buffer: Buffer | undefined
  #held = 0
  readonly #sink: Sink
  readonly #size: number

  /** @param size in bytes, of what is gathered; pieces of half of it and more are not copied */
  constructor(sink: Sink, size: number) {
    this.#sink = sink
    this.#size = size
  }

  /** Bytes that the sink has not got yet. */
  get held(): number {
    return this.#held
  }

  /** Takes a piece: it may be written over when the call has returned, or what it returned has settled. */
  add(piece: Uint8Array): Promise<void> | void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    if (bytes.length * 2 >= this.#size)
      return this.#held > 0 ? this.#flushThen(() => this.#sink(bytes)) : this.#sink(bytes)
    if (this.#held + bytes.length > this.#size) return this.#flushThen(() => this.#keep(bytes))
    this.#keep(bytes)
  }

  /** Gives what is left to the sink. */
  async flush(): Promise<void> {
    const piece = this.#buffer?.subarray(0, this.#held)
    this.#held = 0
    if (piece && piece.length > 0) await this.#sink(piece)
  }

  async #flushThen(next: () => Promise<void> | void): Promise<void> {
    await this.flush()
    await next()
  }

  #keep(bytes: Buffer): void {
    this.#buffer ??= Buffer.allocUnsafeSlow(this.#size)
    this.#held += bytes.copy(this.#buffer, this.#held)
  }
}
