import {ConnectionError, ErrorCode, FRAME_HEADER_BYTES, MAX_FRAME_BYTES, PREFACE} from './protocol.js'

/** One frame; its payload is `bytes[start, end)` and valid during the call only. */
export interface Frame {
  readonly bytes: Buffer
  readonly end: number
  readonly flags: number
  readonly start: number
  readonly stream: number
  readonly type: number
}

/** Cuts the bytes of a connection into frames. Copies only frames that lie across two chunks. */
export class FrameReader {
  #carried = 0
  readonly #carry = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + MAX_FRAME_BYTES)
  readonly #onFrame: (frame: Frame) => void
  #prefaceLeft = PREFACE.length

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame
  }

  /**
   * Takes the next bytes and hands out the frames that they complete.
   * @throws ConnectionError on a wrong preface or a frame that is too large, and what `onFrame` throws
   */
  push(chunk: Buffer): void {
    let at = this.#prefaceLeft > 0 ? this.#preface(chunk) : 0
    while (this.#carried > 0 && at < chunk.length) at = this.#fill(chunk, at)
    while (chunk.length - at >= FRAME_HEADER_BYTES) {
      const length = lengthAt(chunk, at)
      const end = at + FRAME_HEADER_BYTES + length
      if (end > chunk.length) break
      this.#emit(chunk, at, end)
      at = end
    }

    if (at < chunk.length) {
      chunk.copy(this.#carry, 0, at)
      this.#carried = chunk.length - at
    }
  }

  #emit(bytes: Buffer, at: number, end: number): void {
    this.#onFrame({
      bytes,
      end,
      flags: bytes[at + 4]!,
      start: at + FRAME_HEADER_BYTES,
      stream: bytes.readUInt32BE(at + 5) & 0x7f_ff_ff_ff,
      type: bytes[at + 3]!,
    })
  }

  /** Adds to the frame that began in an earlier chunk. @returns where the chunk goes on */
  #fill(chunk: Buffer, at: number): number {
    const headed = this.#carried >= FRAME_HEADER_BYTES
    const wanted = headed ? FRAME_HEADER_BYTES + lengthAt(this.#carry, 0) : FRAME_HEADER_BYTES
    const end = Math.min(chunk.length, at + wanted - this.#carried)
    chunk.copy(this.#carry, this.#carried, at, end)
    this.#carried += end - at
    if (this.#carried >= FRAME_HEADER_BYTES) {
      const whole = FRAME_HEADER_BYTES + lengthAt(this.#carry, 0)
      if (this.#carried === whole) {
        this.#carried = 0
        this.#emit(this.#carry, 0, whole)
      }
    }

    return end
  }

  #preface(chunk: Buffer): number {
    const from = PREFACE.length - this.#prefaceLeft
    const length = Math.min(chunk.length, this.#prefaceLeft)
    if (PREFACE.compare(chunk, 0, length, from, from + length) !== 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'not an HTTP/2 connection preface')
    }

    this.#prefaceLeft -= length
    return length
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUIntBE(at, 3)
  if (length > MAX_FRAME_BYTES) {
    throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `a frame of ${length} bytes`)
  }

  return length
}
