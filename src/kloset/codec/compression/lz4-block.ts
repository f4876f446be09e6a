/* eslint-disable no-bitwise -- tokens of four bits and rolling hashes are the format's */
import {StoreFormatError} from '../../../errors.js'

/**
 * LZ4 blocks, without any library: linked blocks, tiny ones and platforms without the native addon need them in
 * JavaScript, and nothing maintained has them.
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */

/** How far back a match can reach. */
export const WINDOW_BYTES = 64 * 1024

const MIN_MATCH = 4
/** A nibble of the token that says that more bytes of the length follow. */
const LONG = 15

/** Copies of up to this many bytes are done word by word: beyond it the call into the engine is the faster. */
const SHORT_LITERALS = 64
const SHORT_MATCH = 256
/** A copy by words may write this far past its end. */
const SLACK = 8

/** What a compressor leaves at the end as literals, and where its last match may begin. */
const LAST_LITERALS = 5
const MATCH_LIMIT = 12
const HASH_BITS = 14
/** After this many positions without a match the search takes bigger steps. */
const SKIP_SHIFT = 6

/**
 * Decodes one block into `out` from `at` on; a match may reach back to `low`.
 * @returns where the decoded bytes end
 * @throws StoreFormatError when the block is not sound or does not fit
 */
// One loop with its state in local variables: it turns once for every few bytes.
// eslint-disable-next-line complexity
export function decodeBlock(block: Buffer, out: Buffer, at: number, low: number): number {
  const source = new DataView(block.buffer, block.byteOffset, block.length)
  const target = new DataView(out.buffer, out.byteOffset, out.length)
  const wordsEnd = out.length - SLACK
  const sourceWordsEnd = block.length - SLACK
  let from = 0
  let to = at
  while (from < block.length) {
    const token = block[from++]!
    let length = token >>> 4
    if (length > 0) {
      if (length === LONG) {
        let more = 0
        do {
          more = block[from++] ?? 0
          length += more
        } while (more === 255)
      }

      const fromEnd = from + length
      const toEnd = to + length
      if (fromEnd > block.length || toEnd > out.length) throw broken('literals run over the end')
      if (length <= SHORT_LITERALS && fromEnd <= sourceWordsEnd && toEnd <= wordsEnd) {
        do {
          target.setUint32(to, source.getUint32(from, true), true)
          target.setUint32(to + 4, source.getUint32(from + 4, true), true)
          from += 8
          to += 8
        } while (to < toEnd)
      } else {
        block.copy(out, to, from, fromEnd)
      }

      from = fromEnd
      to = toEnd
    }

    if (from === block.length) return to
    if (from + 2 > block.length) throw broken('a match has half an offset')
    const offset = block[from]! | (block[from + 1]! << 8)
    from += 2
    let match = to - offset
    if (offset === 0 || match < low) throw broken('a match reaches before the beginning')
    length = (token & LONG) + MIN_MATCH
    if (length === LONG + MIN_MATCH) {
      let more = 0
      do {
        if (from >= block.length) throw broken('a length has no end')
        more = block[from++]!
        length += more
      } while (more === 255)
    }

    const toEnd = to + length
    if (toEnd > out.length) throw broken('a match runs over the end')
    if (offset >= SLACK && toEnd <= wordsEnd && length <= SHORT_MATCH) {
      do {
        target.setUint32(to, target.getUint32(match, true), true)
        target.setUint32(to + 4, target.getUint32(match + 4, true), true)
        match += 8
        to += 8
      } while (to < toEnd)
    } else if (offset === 1) {
      out.fill(out[match]!, to, toEnd)
    } else if (offset >= length) {
      out.copyWithin(to, match, match + length)
    } else {
      while (to < toEnd) out[to++] = out[match++]!
    }

    to = toEnd
  }

  return to
}

/** The most bytes that a block of `length` bytes can decode to. */
export function decodedBound(length: number): number {
  return length * 255
}

/**
 * Encodes bytes as one block, matching greedily.
 * @returns undefined when that would not be smaller
 */
export function encodeBlock(bytes: Buffer): Buffer | undefined {
  if (bytes.length <= MATCH_LIMIT) return undefined
  const out = new BlockWriter(bytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const lastStart = bytes.length - MATCH_LIMIT
  const lastMatch = bytes.length - LAST_LITERALS
  /** Where each hash of four bytes was last seen, plus one. */
  const seen = new Int32Array(2 ** HASH_BITS)
  let misses = 0
  for (let at = 0; at < lastStart;) {
    const word = view.getUint32(at, true)
    const hash = Math.imul(word, 2_654_435_761) >>> (32 - HASH_BITS)
    const candidate = seen[hash]! - 1
    seen[hash] = at + 1
    if (candidate < 0 || at - candidate >= WINDOW_BYTES || view.getUint32(candidate, true) !== word) {
      at += 1 + (misses++ >> SKIP_SHIFT)
      continue
    }

    misses = 0
    let length = MIN_MATCH
    while (at + length < lastMatch && bytes[candidate + length] === bytes[at + length]) length++
    if (!out.match(at, at - candidate, length)) return undefined
    at += length
  }

  return out.finish()
}

/** Writes sequences as long as the block stays smaller than its content. */
class BlockWriter {
  #anchor = 0
  #at = 0
  readonly #bytes: Buffer
  readonly #out: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#out = Buffer.allocUnsafe(bytes.length)
  }

  finish(): Buffer | undefined {
    const literals = this.#bytes.length - this.#anchor
    if (!this.#fits(literals)) return undefined
    this.#token(literals, 0)
    this.#literals(literals)
    return this.#at < this.#bytes.length ? this.#out.subarray(0, this.#at) : undefined
  }

  /** Literals up to `at`, then a match. */
  match(at: number, offset: number, length: number): boolean {
    const literals = at - this.#anchor
    const beyond = length - MIN_MATCH
    if (!this.#fits(literals + 3 + Math.ceil(beyond / 255))) return false
    this.#token(literals, beyond)
    this.#literals(literals)
    this.#out.writeUInt16LE(offset, this.#at)
    this.#at += 2
    if (beyond >= LONG) this.#long(beyond - LONG)
    this.#anchor = at + length
    return true
  }

  #fits(size: number): boolean {
    return this.#at + size + Math.ceil(size / 255) + 1 < this.#out.length
  }

  #literals(length: number): void {
    if (length >= LONG) this.#long(length - LONG)
    this.#bytes.copy(this.#out, this.#at, this.#anchor, this.#anchor + length)
    this.#at += length
  }

  #long(length: number): void {
    let left = length
    for (; left >= 255; left -= 255) this.#out[this.#at++] = 255
    this.#out[this.#at++] = left
  }

  #token(literals: number, beyond: number): void {
    this.#out[this.#at++] = (Math.min(literals, LONG) << 4) | Math.min(beyond, LONG)
  }
}

function broken(reason: string): StoreFormatError {
  return new StoreFormatError(`LZ4 block is not sound: ${reason}`)
}
