import type {Frame} from './frame-reader.js'

import {broken, calm, unpad} from './checks.js'
import {HpackDecoder} from './hpack.js'
import {Flag} from './protocol.js'
import {HeadBuilder} from './request-head.js'

/** The compressed header block of one request, with its continuations. */
const MAX_BLOCK_BYTES = 32 * 1024
const MAX_CONTINUATIONS = 16

/** A whole header block, decoded. */
export interface HeaderBlock {
  readonly endStream: boolean
  readonly head: HeadBuilder
  readonly stream: number
}

/** Puts HEADERS and CONTINUATION frames together and decodes them in the order of the wire. */
export class HeaderBlocks {
  readonly #decoder = new HpackDecoder()
  #open: undefined | {readonly endStream: boolean; length: number; readonly parts: Buffer[]; readonly stream: number}

  /** @returns the block once a frame completes it */
  begin(frame: Frame): HeaderBlock | undefined {
    const {bytes, flags, stream} = frame
    if (stream % 2 === 0) throw broken(`headers on stream ${stream}`)
    const [start, end] = unpad(frame, flags & Flag.PRIORITY ? 5 : 0)
    const endStream = (flags & Flag.END_STREAM) !== 0
    const fragment = bytes.subarray(start, end)
    if (flags & Flag.END_HEADERS) return this.#decode(stream, endStream, fragment)
    this.#open = {endStream, length: fragment.length, parts: [Buffer.from(fragment)], stream}
    return undefined
  }

  continue(frame: Frame): HeaderBlock | undefined {
    const open = this.#open
    if (!open) throw broken('a continuation of nothing')
    const fragment = frame.bytes.subarray(frame.start, frame.end)
    open.length += fragment.length
    open.parts.push(Buffer.from(fragment))
    if (open.length > MAX_BLOCK_BYTES) throw calm('a header block that is too large')
    if (open.parts.length > MAX_CONTINUATIONS) throw calm('too many continuations of a header block')
    if (!(frame.flags & Flag.END_HEADERS)) return undefined
    this.#open = undefined
    return this.#decode(open.stream, open.endStream, Buffer.concat(open.parts))
  }

  /** @throws ConnectionError when a block is open that `frame` does not continue */
  expect(continuation: boolean, stream: number): void {
    if (this.#open && (!continuation || stream !== this.#open.stream)) throw broken('a frame inside a header block')
  }

  #decode(stream: number, endStream: boolean, block: Buffer): HeaderBlock {
    const head = new HeadBuilder()
    this.#decoder.decode(block, (name, value) => head.add(name, value))
    return {endStream, head, stream}
  }
}
