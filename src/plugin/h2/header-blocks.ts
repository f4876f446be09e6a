import type {Frame} from './frame-reader.js'

import {broken, calm, unpad} from './checks.js'
import {HpackDecoder} from './hpack.js'
import {Flag} from './protocol.js'
import {HeadBuilder} from './request-head.js'

/** The compressed header block of one request, with its continuations. */
const MAX_BLOCK_BYTES = 32 * 1024
const MAX_CONTINUATIONS = 16

/** Blocks that are remembered, and how long they may be. */
const MAX_KNOWN = 32
const MAX_KNOWN_BYTES = 64

/** A whole header block, decoded. */
export interface HeaderBlock {
  readonly endStream: boolean
  readonly head: HeadBuilder
  readonly stream: number
}

/** Puts HEADERS and CONTINUATION frames together and decodes them in the order of the wire. */
export class HeaderBlocks {
  readonly #decoder = new HpackDecoder()
  /** Blocks by their bytes, as they were decoded with the table as it is. */
  readonly #known = new Map<string, HeadBuilder>()
  #knownRevision = 0
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

  /** A client repeats itself: once its table is filled, call after call begins with the same few bytes. */
  #decode(stream: number, endStream: boolean, block: Buffer): HeaderBlock {
    const {revision} = this.#decoder
    const key = block.length <= MAX_KNOWN_BYTES ? block.toString('latin1') : undefined
    if (key !== undefined && this.#knownRevision === revision) {
      const known = this.#known.get(key)
      if (known) return {endStream, head: known, stream}
    }

    const head = new HeadBuilder()
    this.#decoder.decode(block, (name, value) => head.add(name, value))
    if (key !== undefined && this.#decoder.revision === revision) this.#remember(key, head, revision)
    return {endStream, head, stream}
  }

  #remember(key: string, head: HeadBuilder, revision: number): void {
    if (this.#knownRevision !== revision || this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#knownRevision = revision
    this.#known.set(key, head)
  }
}
