import type {Stream} from './stream.js'

import {type ByteSink, Outbox} from './outbox.js'
import {
  ConnectionError,
  DEFAULT_WINDOW,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_FRAME_BYTES,
  MAX_WINDOW,
  putFrameHeader,
  putUint32,
} from './protocol.js'

/** Data frames are made only while less than this waits for the pipe. */
const OUTBOX_MARK = 256 * 1024

/** A stream's producer is asked to wait while this much of its data is queued. */
const QUEUE_MARK = 256 * 1024

/** Beyond this the peer makes us answer (pings, settings) faster than it reads. */
const FLOOD_BYTES = 4 * 1024 * 1024

/** The sending half of a connection: frames, flow control, fair turns between streams, few writes. */
export class Sender {
  /** What a new stream may send before its first WINDOW_UPDATE, as the peer set it. */
  initialWindow = DEFAULT_WINDOW
  /** Called when a stream's side of the sending is over. */
  onLocalEnd: (stream: Stream) => void = () => {}
  readonly #outbox: Outbox
  readonly #round: Stream[] = []
  #window = DEFAULT_WINDOW

  constructor(sink: ByteSink) {
    this.#outbox = new Outbox(sink)
    this.#outbox.onDrain = () => this.pump()
  }

  get pending(): number {
    return this.#outbox.pending
  }

  /** See `Outbox.cork`. */
  cork(): void {
    this.#outbox.cork()
  }

  /** @returns whether the stream's producer may go on */
  data(stream: Stream, head: Buffer, payload: Buffer): boolean {
    if (stream.localClosed || stream.trailers) return true
    const bytes = head.length + payload.length
    if (
      stream.queuedBytes === 0 &&
      bytes <= MAX_FRAME_BYTES &&
      bytes <= this.#window &&
      bytes <= stream.sendWindow &&
      this.#round.length === 0 &&
      this.#outbox.pending < OUTBOX_MARK
    ) {
      const at = this.#frame(FrameType.DATA, 0, stream.id, bytes)
      head.copy(this.#outbox.buffer, at)
      payload.copy(this.#outbox.buffer, at + head.length)
      this.#window -= bytes
      stream.sendWindow -= bytes
      this.#outbox.schedule()
      return true
    }

    if (head.length > 0) stream.queue.push(head)
    if (payload.length > 0) stream.queue.push(payload)
    stream.queuedBytes += bytes
    this.#enqueue(stream)
    this.pump()
    return this.hasRoom(stream)
  }

  /** Forgets what a stream still wanted to send: it was reset. */
  drop(stream: Stream): void {
    stream.localClosed = true
    stream.queue.length = 0
    stream.queuedBytes = 0
    stream.wake()
  }

  flush(): void {
    this.#outbox.flush()
  }

  goAway(lastStream: number, code: number, message: string): void {
    const debug = Buffer.from(message, 'latin1').subarray(0, 1024)
    const at = this.#frame(FrameType.GOAWAY, 0, 0, 8 + debug.length)
    const out = this.#outbox.buffer
    debug.copy(out, putUint32(out, putUint32(out, at, lastStream), code))
    this.#outbox.schedule()
  }

  hasRoom(stream: Stream): boolean {
    return stream.queuedBytes < QUEUE_MARK
  }

  /** Sends a block of at most one frame: ours are constants and short messages. */
  headers(stream: Stream, block: Buffer, end: boolean): void {
    if (stream.localClosed) return
    const at = this.#frame(
      FrameType.HEADERS,
      end ? Flag.END_HEADERS | Flag.END_STREAM : Flag.END_HEADERS,
      stream.id,
      block.length,
    )
    block.copy(this.#outbox.buffer, at)
    this.#outbox.schedule()
    if (end) {
      stream.localClosed = true
      this.onLocalEnd(stream)
      stream.wake()
    }
  }

  ping(payload: Buffer): void {
    this.#answer(FrameType.PING, Flag.ACK, payload)
  }

  /** Sends queued data, a frame a stream in turn, until windows, queues or the pipe say stop. */
  pump(): void {
    while (this.#round.length > 0 && this.#window > 0) {
      if (this.#outbox.pending >= OUTBOX_MARK) {
        this.#outbox.flush()
        if (this.#outbox.pending >= OUTBOX_MARK) return
      }

      const stream = this.#round.shift()!
      stream.queued = false
      this.#turn(stream)
    }
  }

  reset(id: number, code: number): void {
    const at = this.#frame(FrameType.RST_STREAM, 0, id, 4)
    putUint32(this.#outbox.buffer, at, code)
    this.#outbox.schedule()
    this.#checkFlood()
  }

  /** The peer changed the window that streams begin with: open ones follow. */
  setInitialWindow(value: number, streams: Iterable<Stream>): void {
    const delta = value - this.initialWindow
    this.initialWindow = value
    for (const stream of streams) this.widenStream(stream, delta)
  }

  settings(values: readonly (readonly [number, number])[]): void {
    let at = this.#frame(FrameType.SETTINGS, 0, 0, values.length * 6)
    const out = this.#outbox.buffer
    for (const [id, value] of values) {
      out[at] = id >>> 8
      out[at + 1] = id
      at = putUint32(out, at + 2, value)
    }

    this.#outbox.schedule()
  }

  settingsAck(): void {
    this.#answer(FrameType.SETTINGS, Flag.ACK, Buffer.alloc(0))
  }

  trailers(stream: Stream, block: Buffer): void {
    if (stream.localClosed || stream.trailers) return
    if (stream.queuedBytes === 0) this.headers(stream, block, true)
    else stream.trailers = block
  }

  /** @throws ConnectionError when the window grows beyond its limit */
  widen(bytes: number): void {
    this.#window += bytes
    if (this.#window > MAX_WINDOW) {
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'the connection window grew beyond its limit')
    }

    this.pump()
  }

  /** @throws ConnectionError when the window grows beyond its limit */
  widenStream(stream: Stream, bytes: number): void {
    stream.sendWindow += bytes
    if (stream.sendWindow > MAX_WINDOW) {
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'a stream window grew beyond its limit')
    }

    if (stream.queuedBytes > 0) {
      this.#enqueue(stream)
      this.pump()
    }
  }

  windowUpdate(id: number, bytes: number): void {
    const at = this.#frame(FrameType.WINDOW_UPDATE, 0, id, 4)
    putUint32(this.#outbox.buffer, at, bytes)
    this.#outbox.schedule()
  }

  #answer(type: number, flags: number, payload: Buffer): void {
    const at = this.#frame(type, flags, 0, payload.length)
    payload.copy(this.#outbox.buffer, at)
    this.#outbox.schedule()
    this.#checkFlood()
  }

  #checkFlood(): void {
    if (this.#outbox.pending > FLOOD_BYTES) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, 'too many frames that ask for an answer')
    }
  }

  #enqueue(stream: Stream): void {
    if (stream.queued || stream.sendWindow <= 0) return
    stream.queued = true
    this.#round.push(stream)
  }

  /** @returns where the payload begins in the outbox's buffer */
  #frame(type: number, flags: number, stream: number, length: number): number {
    const at = this.#outbox.reserve(FRAME_HEADER_BYTES + length)
    return putFrameHeader(this.#outbox.buffer, at, {flags, length, stream, type})
  }

  /** One data frame of one stream; the last one is followed by the trailers. */
  #turn(stream: Stream): void {
    if (stream.queuedBytes === 0) return
    const length = Math.min(stream.queuedBytes, MAX_FRAME_BYTES, this.#window, stream.sendWindow)
    if (length <= 0) return
    let at = this.#frame(FrameType.DATA, 0, stream.id, length)
    let left = length
    while (left > 0) {
      const first = stream.queue[0]!
      const part = Math.min(first.length, left)
      first.copy(this.#outbox.buffer, at, 0, part)
      at += part
      left -= part
      if (part === first.length) stream.queue.shift()
      else stream.queue[0] = first.subarray(part)
    }

    const full = !this.hasRoom(stream)
    stream.queuedBytes -= length
    stream.sendWindow -= length
    this.#window -= length
    this.#outbox.schedule()
    if (stream.queuedBytes > 0) this.#enqueue(stream)
    else if (stream.trailers) this.headers(stream, stream.trailers, true)
    if (full && this.hasRoom(stream)) stream.wake()
  }
}
