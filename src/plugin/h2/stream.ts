/** What the layer above does with a stream's events. Each is called in the order of the wire. */
export interface StreamConsumer {
  /** `bytes` are valid during the call only. The consumer reports them with `stream.consumed`. */
  data(bytes: Buffer): void
  /** The peer has sent everything. */
  end(): void
  /** The peer cancelled, broke a rule or went away. Nothing can be sent any more. */
  reset(reason: string): void
}

/** What a stream needs of the sender that all streams share. */
export interface StreamSender {
  data(stream: Stream, head: Buffer, payload: Buffer): boolean
  hasRoom(stream: Stream): boolean
  headers(stream: Stream, block: Buffer, end: boolean): void
  readonly initialWindow: number
  trailers(stream: Stream, block: Buffer): void
  windowUpdate(id: number, bytes: number): void
}

/** One request and its response. Everything that is sent after the stream has closed is dropped silently. */
export class Stream {
  consumer: StreamConsumer | undefined
  readonly id: number
  /** We have sent END_STREAM, or a reset went either way. */
  localClosed = false
  /** Data that waits for a window or for the pipe, in order. */
  readonly queue: Buffer[] = []
  /** In the sender's round. */
  queued = false
  queuedBytes = 0
  /** Octets that the peer may still send. */
  receiveWindow: number
  remoteClosed = false
  sendWindow: number
  /** Sent once the queue is empty; ends our side. */
  trailers: Buffer | undefined
  #drained: (() => void) | undefined
  readonly #sender: StreamSender
  /** Octets that were consumed and not yet given back to the peer. */
  #unreturned = 0
  #windowTarget: number

  constructor(id: number, sender: StreamSender, receiveWindow: number) {
    this.id = id
    this.#sender = sender
    this.sendWindow = sender.initialWindow
    this.receiveWindow = receiveWindow
    this.#windowTarget = receiveWindow
  }

  /** True when nothing can be sent any more. */
  get closed(): boolean {
    return this.localClosed
  }

  /** Gives the peer room again, once it has used up a good part of the window. */
  consumed(bytes: number): void {
    this.#unreturned += bytes
    if (this.#unreturned >= this.#windowTarget / 4) this.#giveBack()
  }

  /** Resolves when the queue has room again, or the stream has closed. */
  drained(): Promise<void> {
    if (this.closed || this.#sender.hasRoom(this)) return Promise.resolve()
    return new Promise((resolve) => {
      const earlier = this.#drained
      this.#drained = () => {
        earlier?.()
        resolve()
      }
    })
  }

  end(trailers: Buffer): void {
    this.#sender.trailers(this, trailers)
  }

  /** Sends `head` and then `payload` as data. @returns false when the caller should wait for `drained` */
  send(head: Buffer, payload: Buffer): boolean {
    return this.#sender.data(this, head, payload)
  }

  sendHeaders(block: Buffer): void {
    this.#sender.headers(this, block, false)
  }

  /** For the session and the sender: wakes whoever waits in `drained`. */
  wake(): void {
    const drained = this.#drained
    this.#drained = undefined
    drained?.()
  }

  /** Lets the peer have up to `bytes` under way on this stream. Never shrinks. */
  widen(bytes: number): void {
    if (bytes <= this.#windowTarget) return
    this.#unreturned += bytes - this.#windowTarget
    this.#windowTarget = bytes
    this.#giveBack()
  }

  #giveBack(): void {
    const bytes = this.#unreturned
    if (bytes === 0 || this.remoteClosed) return
    this.#unreturned = 0
    this.receiveWindow += bytes
    this.#sender.windowUpdate(this.id, bytes)
  }
}
