/** Where the bytes of a connection go: a pipe, or a socket in tests. */
export interface ByteSink {
  /**
   * Writes `bytes[start, end)`. True when all of it is gone at once: the caller may reuse the memory. Otherwise the sink
   * keeps the memory until it calls `done`, and nothing else is written before that.
   */
  write(bytes: Buffer, start: number, end: number, done: () => void): boolean
}

/** How much is gathered before it is written in the middle of a turn; also the size of one piece of memory. */
const SLAB_BYTES = 256 * 1024

/**
 * Gathers the many small frames of a turn of the event loop and writes them in one call. Frames are written straight
 * into its memory: `reserve`, then fill `buffer` from the offset that it returned.
 */
export class Outbox {
  /** The memory that the last `reserve` pointed into. */
  buffer: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  onDrain: () => void = () => {}
  #corked = false
  readonly #done: () => void
  #end = 0
  /** Full pieces of memory that wait while the sink is busy. */
  readonly #full: {readonly buffer: Buffer; readonly end: number}[] = []
  /** Bytes that are with the sink or wait in `#full`. */
  #held = 0
  #inFlight = 0
  #scheduled = false
  readonly #sink: ByteSink
  #spare: Buffer | undefined

  constructor(sink: ByteSink) {
    this.#sink = sink
    this.#done = () => this.#written()
  }

  /** Bytes that the sink has not taken yet. */
  get pending(): number {
    return this.#held + this.#end
  }

  /** Somebody is going to call `flush` in this turn: `schedule` need not see to it. */
  cork(): void {
    this.#corked = true
  }

  /** Writes what has gathered, unless the sink is busy: then that happens when it has finished. */
  flush(): void {
    this.#corked = false
    this.#scheduled = false
    if (this.#inFlight > 0 || this.#end === 0) return
    this.#write(this.buffer, this.#end)
  }

  /** Room for `bytes` (at most 64 KiB) in one piece. @returns the offset in `buffer` */
  reserve(bytes: number): number {
    if (this.#end + bytes > SLAB_BYTES) this.#makeRoom()
    const at = this.#end
    this.#end += bytes
    return at
  }

  /** Flushes at the end of this turn, after everything else that is ready now. */
  schedule(): void {
    if (this.#scheduled || this.#corked) return
    this.#scheduled = true
    process.nextTick(() => {
      if (this.#scheduled) this.flush()
    })
  }

  #makeRoom(): void {
    this.flush()
    if (this.#end === 0) return
    this.#full.push({buffer: this.buffer, end: this.#end})
    this.#held += this.#end
    this.#replace()
  }

  #replace(): void {
    this.buffer = this.#spare ?? Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.#spare = undefined
    this.#end = 0
  }

  #write(buffer: Buffer, end: number): void {
    const current = buffer === this.buffer
    this.#inFlight = end
    if (this.#sink.write(buffer, 0, end, this.#done)) {
      this.#inFlight = 0
      if (current) this.#end = 0
      return
    }

    if (!current) return
    this.#held += end
    this.#replace()
  }

  #written(): void {
    this.#held -= this.#inFlight
    this.#inFlight = 0
    for (let next = this.#full.shift(); next; next = this.#full.shift()) {
      this.#write(next.buffer, next.end)
      if (this.#inFlight > 0) return
      this.#held -= next.end
    }

    this.flush()
    if (this.#inFlight === 0) this.onDrain()
  }
}
