/* eslint-disable no-bitwise -- hashing */
import type {TemporaryFile} from '../../util/temporary-file.js'

/** A hash and a number: eight bytes, in pages of four kilobytes. */
const PAGE_PAIRS = 512
const PAGE_BYTES = 8 * PAGE_PAIRS

/** Hash and number in one floating-point number, exactly: 32 bits and 20. */
export const MAX_RUN_ROWS = 2 ** 20

/**
 * Numbers under hashes, on the disk and sorted. In memory are two bytes for each, a filter, which knows of nearly every
 * hash that is not there; for the others one page is read.
 */
export class StoredRun {
  /** The first hash of each page. */
  readonly #fences: Uint32Array
  readonly #file: TemporaryFile
  readonly #filter: Uint32Array
  readonly #page = new Uint32Array(2 * PAGE_PAIRS)
  readonly #pageBytes = Buffer.from(this.#page.buffer)
  #pageNumber = -1
  readonly #start: number

  /** @param hashes of the numbers from 0 on. @throws LocalIoError */
  constructor(file: TemporaryFile, hashes: Uint32Array) {
    const sorted = Float64Array.from(hashes, (hash, number) => hash * MAX_RUN_ROWS + number).sort()
    const pages = Math.ceil(sorted.length / PAGE_PAIRS)
    // The last page is filled up with what no number is.
    const pairs = new Uint32Array(pages * 2 * PAGE_PAIRS).fill(2 ** 32 - 1)
    this.#filter = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(sorted.length / 2, 1))))
    this.#fences = new Uint32Array(pages)
    for (const [at, pair] of sorted.entries()) {
      const hash = Math.floor(pair / MAX_RUN_ROWS)
      pairs[2 * at] = hash
      pairs[2 * at + 1] = pair % MAX_RUN_ROWS
      if (at % PAGE_PAIRS === 0) this.#fences[at / PAGE_PAIRS] = hash
      this.#filter[this.#slotOf(hash)]! |= bitsOf(hash)
    }

    this.#file = file
    this.#start = file.append(Buffer.from(pairs.buffer))
  }

  /** Memory that it takes. */
  get bytes(): number {
    return this.#filter.byteLength + this.#fences.byteLength + PAGE_BYTES
  }

  /** The numbers under a hash, the smallest first. @throws LocalIoError */
  numbersOf(hash: number): readonly number[] {
    const bits = bitsOf(hash)
    if ((this.#filter[this.#slotOf(hash)]! & bits) >>> 0 !== bits) return []
    const numbers: number[] = []
    for (let number = this.#firstPage(hash); number < this.#fences.length; number++) {
      if (this.#fences[number]! > hash) break
      this.#load(number)
      for (let at = 0; at < this.#page.length; at += 2) {
        const here = this.#page[at]!
        if (here > hash) return numbers
        if (here === hash && this.#page[at + 1]! < MAX_RUN_ROWS) numbers.push(this.#page[at + 1]!)
      }
    }

    return numbers
  }

  /** The last page that begins before a hash: it may begin in the middle of one. */
  #firstPage(hash: number): number {
    let [low, high] = [0, this.#fences.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#fences[middle]! < hash) low = middle + 1
      else high = middle
    }

    return Math.max(0, low - 1)
  }

  #load(number: number): void {
    if (this.#pageNumber === number) return
    this.#pageNumber = -1
    this.#file.read(this.#pageBytes, this.#start + number * PAGE_BYTES)
    this.#pageNumber = number
  }

  #slotOf(hash: number): number {
    return hash & (this.#filter.length - 1)
  }
}

/** Three bits of a word, which do not follow from the bits that choose the word alone. */
function bitsOf(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x9e_37_79_b1)
  return ((1 << (mixed >>> 27)) | (1 << ((mixed >>> 22) & 31)) | (1 << ((mixed >>> 17) & 31))) >>> 0
}
