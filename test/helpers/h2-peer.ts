import type {ByteSink} from '../../src/plugin/h2/outbox.js'
import type {RequestHead} from '../../src/plugin/h2/request-head.js'
import type {Stream} from '../../src/plugin/h2/stream.js'

import {encodeHeaders} from '../../src/plugin/h2/hpack.js'
import {type ConnectionError, Flag, FrameType, PREFACE, putUint32} from '../../src/plugin/h2/protocol.js'
import {Session} from '../../src/plugin/h2/session.js'

/** One frame as a test sees it. */
export interface WireFrame {
  readonly flags: number
  readonly payload: Buffer
  readonly stream: number
  readonly type: number
}

export function frame(type: number, flags: number, stream: number, payload: Buffer | number[] = []): Buffer {
  const body = Buffer.from(payload)
  const header = Buffer.alloc(9)
  header.writeUIntBE(body.length, 0, 3)
  header[3] = type
  header[4] = flags
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, body])
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  putUint32(bytes, 0, value)
  return bytes
}

/** Payload of a SETTINGS frame. */
export function settings(...values: [number, number][]): Buffer {
  return Buffer.concat(values.map(([id, value]) => Buffer.concat([Buffer.from([id >>> 8, id]), u32(value)])))
}

export function cutFrames(bytes: Buffer): WireFrame[] {
  const frames: WireFrame[] = []
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUIntBE(at, 3)
    if (bytes.length - at < 9 + length) throw new Error('a cut frame on the wire')
    frames.push({
      flags: bytes[at + 4]!,
      payload: bytes.subarray(at + 9, at + 9 + length),
      stream: bytes.readUInt32BE(at + 5),
      type: bytes[at + 3]!,
    })
    at += 9 + length
  }

  return frames
}

/** A request's header block that is in order. */
export const GET_BLOCK = encodeHeaders('none', [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/store.Store/Get'],
  [':authority', 'localhost'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
])

/** A sink in memory that can be told to be slow. */
export class MemorySink implements ByteSink {
  blocked = false
  readonly chunks: Buffer[] = []
  #held: undefined | {bytes: Buffer; done: () => void}

  release(): void {
    const held = this.#held
    this.#held = undefined
    if (!held) return
    this.chunks.push(held.bytes)
    held.done()
  }

  write(bytes: Buffer, start: number, end: number, done: () => void): boolean {
    if (this.#held) throw new Error('written to while busy')
    const copy = Buffer.from(bytes.subarray(start, end))
    if (!this.blocked) {
      this.chunks.push(copy)
      return true
    }

    this.#held = {bytes: copy, done}
    return false
  }
}

export interface Seen {
  data: string
  ended: boolean
  head: RequestHead
  reset: string | undefined
  stream: Stream
}

/** A session with a hand-made client on the other side. */
export class H2Peer {
  error: ConnectionError | undefined
  readonly requests: Seen[] = []
  readonly session: Session
  readonly sink = new MemorySink()

  constructor(onRequest?: (stream: Stream, head: RequestHead) => void) {
    this.session = new Session({
      onError: (error) => {
        this.error = error
      },
      onRequest: onRequest ?? ((stream, head) => this.#record(stream, head)),
      sink: this.sink,
    })
  }

  get last(): Seen {
    return this.requests.at(-1)!
  }

  /** Sends the preface and empty settings, and drops the server's own beginning. */
  async begin(...values: [number, number][]): Promise<this> {
    this.session.receive(PREFACE)
    await this.send(frame(FrameType.SETTINGS, 0, 0, settings(...values)))
    this.sink.chunks.length = 0
    return this
  }

  /** Opens a stream without a body, or with one to come. */
  async open(stream: number, endStream = false): Promise<Seen> {
    await this.send(frame(FrameType.HEADERS, Flag.END_HEADERS | (endStream ? Flag.END_STREAM : 0), stream, GET_BLOCK))
    return this.last
  }

  /** Frames since the last call. */
  async received(): Promise<WireFrame[]> {
    await settle()
    const frames = cutFrames(Buffer.concat(this.sink.chunks))
    this.sink.chunks.length = 0
    return frames
  }

  async send(...frames: Buffer[]): Promise<void> {
    this.session.receive(Buffer.concat(frames))
    await settle()
  }

  #record(stream: Stream, head: RequestHead): void {
    const seen: Seen = {data: '', ended: false, head, reset: undefined, stream}
    this.requests.push(seen)
    stream.consumer = {
      data(bytes) {
        seen.data += bytes.toString('latin1')
      },
      end() {
        seen.ended = true
      },
      reset(reason) {
        seen.reset = reason
      },
    }
  }
}

/** Lets what was scheduled for the end of the turn happen. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve)
  })
}
