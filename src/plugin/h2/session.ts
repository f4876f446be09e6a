import type {ByteSink} from './outbox.js'

import {broken, expectConnection, expectSize, flow, unpad} from './checks.js'
import {type Frame, FrameReader} from './frame-reader.js'
import {type HeaderBlock, HeaderBlocks} from './header-blocks.js'
import {ConnectionError, DEFAULT_WINDOW, ErrorCode, Flag, FrameType, MAX_WINDOW, Setting, uint32} from './protocol.js'
import {RecentNumbers} from './recent.js'
import {MAX_HEADER_LIST_BYTES, type RequestHead} from './request-head.js'
import {Sender} from './sender.js'
import {readSettings} from './settings.js'
import {Stream} from './stream.js'

/** Streams that may be open at once; more are refused. */
export const MAX_STREAMS = 1024

/** What all streams together may have under way to us. Streams bound themselves; this only keeps the pipe moving. */
const CONNECTION_WINDOW = 16 * 1024 * 1024

/** Streams that we reset while the peer may still be sending: what comes for them is dropped. */
const REMEMBERED_RESETS = 1024

export interface SessionOptions {
  /** The session broke and has said so to the peer: nothing more can come of it. */
  readonly onError: (error: ConnectionError) => void
  /** A request has begun. Sets `stream.consumer` before it returns. */
  readonly onRequest: (stream: Stream, head: RequestHead) => void
  readonly sink: ByteSink
}

/**
 * The server's side of one HTTP/2 connection over a byte pipe: what a gRPC client needs and nothing else. It never
 * sends GOAWAY but for an error: plakar has only this one pipe and would get the same one back when it dials again.
 * @see https://www.rfc-editor.org/rfc/rfc9113
 */
export class Session {
  readonly #blocks = new HeaderBlocks()
  #broken = false
  #lastStream = 0
  readonly #onError: SessionOptions['onError']
  readonly #onRequest: SessionOptions['onRequest']
  readonly #reader: FrameReader
  #receiveWindow = DEFAULT_WINDOW
  readonly #resets = new RecentNumbers(REMEMBERED_RESETS)
  readonly #sender: Sender
  #settled = false
  readonly #streams = new Map<number, Stream>()

  constructor(options: SessionOptions) {
    this.#onError = options.onError
    this.#onRequest = options.onRequest
    this.#reader = new FrameReader((frame) => this.#frame(frame))
    this.#sender = new Sender(options.sink)
    this.#sender.onLocalEnd = (stream) => this.#localEnd(stream)
    this.#sender.settings([
      [Setting.MAX_CONCURRENT_STREAMS, MAX_STREAMS],
      [Setting.MAX_HEADER_LIST_SIZE, MAX_HEADER_LIST_BYTES],
    ])
    this.#returnWindow(CONNECTION_WINDOW - DEFAULT_WINDOW)
    this.#sender.flush()
  }

  /** Requests that are not answered yet. */
  get active(): number {
    return this.#streams.size
  }

  /** The peer is gone: every open stream ends. */
  close(reason: string): void {
    const streams = [...this.#streams.values()]
    this.#streams.clear()
    for (const stream of streams) this.#abandon(stream, reason)
  }

  /** Takes bytes of the peer; the memory may be reused afterwards. Never throws: see `onError`. */
  receive(bytes: Buffer): void {
    if (this.#broken) return
    try {
      this.#sender.cork()
      this.#reader.push(bytes)
      this.#sender.flush()
    } catch (error) {
      this.#fail(
        error instanceof ConnectionError
          ? error
          : new ConnectionError(ErrorCode.INTERNAL_ERROR, error instanceof Error ? error.message : String(error)),
      )
    }
  }

  /** Ends a stream that the server no longer wants to hear of. */
  reset(stream: Stream, code: number, reason: string): void {
    if (!this.#streams.delete(stream.id)) return
    this.#resets.add(stream.id)
    this.#sender.reset(stream.id, code)
    this.#abandon(stream, reason)
  }

  #abandon(stream: Stream, reason: string): void {
    stream.remoteClosed = true
    this.#sender.drop(stream)
    stream.consumer?.reset(reason)
  }

  #block(block: HeaderBlock | undefined): void {
    if (!block) return
    if (block.stream > this.#lastStream) this.#request(block)
    else this.#trailers(block)
  }

  #data(frame: Frame): void {
    const octets = frame.end - frame.start
    const [start, end] = unpad(frame, 0)
    this.#receiveWindow -= octets
    if (this.#receiveWindow < 0) throw flow('more data than the connection window allows')
    if (this.#receiveWindow < CONNECTION_WINDOW / 2) this.#returnWindow(CONNECTION_WINDOW - this.#receiveWindow)
    const stream = this.#streams.get(frame.stream)
    if (!stream || stream.remoteClosed) {
      this.#expectDead(frame.stream, stream)
      return
    }

    stream.receiveWindow -= octets
    if (stream.receiveWindow < 0) {
      this.reset(stream, ErrorCode.FLOW_CONTROL_ERROR, 'the client sent more than the stream window allows')
      return
    }

    const padding = octets - (end - start)
    if (padding > 0) stream.consumed(padding)
    const last = (frame.flags & Flag.END_STREAM) !== 0
    // Before the consumer sees the data: it may answer at once, and then must not be taken for hasty.
    if (last) stream.remoteClosed = true
    if (end > start) stream.consumer?.data(frame.bytes.subarray(start, end))
    if (last) stream.consumer?.end()
  }

  /** Data or headers for a stream that is not open for them. */
  #expectDead(id: number, stream: Stream | undefined): void {
    this.#expectKnown(id)
    if (stream) this.reset(stream, ErrorCode.STREAM_CLOSED, 'the client sent more after the end of its request')
    else if (!this.#resets.has(id)) throw new ConnectionError(ErrorCode.STREAM_CLOSED, 'a frame on a closed stream')
  }

  #expectKnown(id: number): void {
    if (id % 2 === 0 || id > this.#lastStream) throw broken('a frame on a stream that was never opened')
  }

  #fail(error: ConnectionError): void {
    this.#broken = true
    this.#sender.goAway(this.#lastStream, error.code, error.message)
    this.#sender.flush()
    this.close(`the connection broke: ${error.message}`)
    this.#onError(error)
  }

  #frame(frame: Frame): void {
    if (!this.#settled && frame.type !== FrameType.SETTINGS) throw broken('no SETTINGS frame at the beginning')
    this.#blocks.expect(frame.type === FrameType.CONTINUATION, frame.stream)
    switch (frame.type) {
      case FrameType.CONTINUATION: {
        this.#block(this.#blocks.continue(frame))
        return
      }

      case FrameType.DATA: {
        this.#data(frame)
        return
      }

      case FrameType.GOAWAY: {
        // The client is about to leave: what it has asked is still answered, then it closes the pipe.
        expectConnection(frame, 'GOAWAY')
        expectSize(frame.end - frame.start >= 8, 'GOAWAY')
        return
      }

      case FrameType.HEADERS: {
        this.#block(this.#blocks.begin(frame))
        return
      }

      case FrameType.PING: {
        this.#ping(frame)
        return
      }

      case FrameType.PRIORITY: {
        this.#priority(frame)
        return
      }

      case FrameType.PUSH_PROMISE: {
        throw broken('PUSH_PROMISE of a client')
      }

      case FrameType.RST_STREAM: {
        this.#peerReset(frame)
        return
      }

      case FrameType.SETTINGS: {
        this.#settings(frame)
        return
      }

      case FrameType.WINDOW_UPDATE: {
        this.#windowUpdate(frame)
      }
    }
  }

  /** Our side is done. When the peer's is not, it is told that nobody listens any more. */
  #localEnd(stream: Stream): void {
    if (!this.#streams.delete(stream.id)) return
    if (stream.remoteClosed) return
    stream.remoteClosed = true
    this.#resets.add(stream.id)
    this.#sender.reset(stream.id, ErrorCode.NO_ERROR)
  }

  #peerReset(frame: Frame): void {
    expectSize(frame.end - frame.start === 4, 'RST_STREAM')
    this.#expectKnown(frame.stream)
    const stream = this.#streams.get(frame.stream)
    if (!stream) return
    this.#streams.delete(frame.stream)
    this.#abandon(stream, 'the client cancelled the call')
  }

  #ping(frame: Frame): void {
    expectConnection(frame, 'PING')
    expectSize(frame.end - frame.start === 8, 'PING')
    if (!(frame.flags & Flag.ACK)) this.#sender.ping(frame.bytes.subarray(frame.start, frame.end))
  }

  #priority(frame: Frame): void {
    if (frame.stream === 0) throw broken('PRIORITY on the connection')
    const stream = this.#streams.get(frame.stream)
    if (frame.end - frame.start === 5 || !stream) return
    this.reset(stream, ErrorCode.FRAME_SIZE_ERROR, 'the client sent a PRIORITY frame of the wrong size')
  }

  #refuse(id: number, code: number): void {
    this.#resets.add(id)
    this.#sender.reset(id, code)
  }

  #remoteEnd(stream: Stream): void {
    if (stream.remoteClosed) return
    stream.remoteClosed = true
    stream.consumer?.end()
  }

  #request({endStream, head, stream: id}: HeaderBlock): void {
    this.#lastStream = id
    const request = head.tooLarge ? undefined : head.request()
    if (!request) {
      this.#refuse(id, head.tooLarge ? ErrorCode.ENHANCE_YOUR_CALM : ErrorCode.PROTOCOL_ERROR)
      return
    }

    if (this.#streams.size >= MAX_STREAMS) {
      this.#refuse(id, ErrorCode.REFUSED_STREAM)
      return
    }

    const stream = new Stream(id, this.#sender, DEFAULT_WINDOW)
    this.#streams.set(id, stream)
    this.#onRequest(stream, request)
    if (endStream) this.#remoteEnd(stream)
  }

  #returnWindow(bytes: number): void {
    this.#receiveWindow += bytes
    this.#sender.windowUpdate(0, bytes)
  }

  #settings(frame: Frame): void {
    const settings = readSettings(frame)
    if (!settings) {
      if (!this.#settled) throw broken('no SETTINGS frame at the beginning')
      return
    }

    this.#settled = true
    if (settings.initialWindow !== undefined) {
      this.#sender.setInitialWindow(settings.initialWindow, this.#streams.values())
    }

    this.#sender.settingsAck()
  }

  #trailers({endStream, head, stream: id}: HeaderBlock): void {
    const stream = this.#streams.get(id)
    if (!stream || stream.remoteClosed) {
      this.#expectDead(id, stream)
      return
    }

    if (endStream && head.isTrailers()) this.#remoteEnd(stream)
    else this.reset(stream, ErrorCode.PROTOCOL_ERROR, 'the client sent wrong trailers')
  }

  #windowUpdate(frame: Frame): void {
    expectSize(frame.end - frame.start === 4, 'WINDOW_UPDATE')
    const bytes = uint32(frame.bytes, frame.start) & MAX_WINDOW
    if (frame.stream === 0) {
      if (bytes === 0) throw broken('a WINDOW_UPDATE of nothing')
      this.#sender.widen(bytes)
      return
    }

    this.#expectKnown(frame.stream)
    const stream = this.#streams.get(frame.stream)
    if (!stream) return
    if (bytes === 0) this.reset(stream, ErrorCode.PROTOCOL_ERROR, 'the client sent a WINDOW_UPDATE of nothing')
    else if (stream.sendWindow + bytes > MAX_WINDOW) {
      this.reset(stream, ErrorCode.FLOW_CONTROL_ERROR, 'the client let the stream window grow beyond its limit')
    } else this.#sender.widenStream(stream, bytes)
  }
}
