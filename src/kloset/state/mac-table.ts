import {type Mac, MAC_BYTES} from '../mac.js'
import {HashIndex, hashWords, MAC_WORDS, sameWords, WordReader} from './hash-index.js'

const SEGMENT = 4096

/** MACs as numbers, in the order in which they came. */
export class MacTable {
  #count = 0
  readonly #index: HashIndex
  readonly #reader = new WordReader()
  readonly #segments: Uint32Array[] = []

  constructor() {
    this.#index = new HashIndex((number) => hashWords(this.#segment(number), placeOf(number), 0))
  }

  /** Memory that the table takes. */
  get bytes(): number {
    return this.#segments.length * SEGMENT * MAC_BYTES + this.#index.bytes
  }

  /** The number of the MAC at a place of some bytes, new or known. */
  intern(source: Buffer, at = 0): number {
    const known = this.numberOf(source, at)
    if (known !== -1) return known
    const words = this.#reader.read(source, at)
    const number = this.#count++
    if (number % SEGMENT === 0) this.#segments.push(new Uint32Array(SEGMENT * MAC_WORDS))
    this.#segment(number).set(words, placeOf(number))
    this.#index.insert(hashWords(words, 0, 0), number)
    return number
  }

  /** The number of a MAC that is there; -1 for none. */
  numberOf(source: Buffer, at = 0): number {
    const words = this.#reader.read(source, at)
    for (let slot = this.#index.first(hashWords(words, 0, 0)); ; slot = this.#index.next(slot)) {
      const number = this.#index.at(slot)
      if (number === -1 || sameWords(this.#segment(number), placeOf(number), words)) return number
    }
  }

  read(number: number): Mac {
    return macAt(this.#segment(number), placeOf(number))
  }

  #segment(number: number): Uint32Array {
    return this.#segments[Math.floor(number / SEGMENT)]!
  }
}

/** The MAC in eight words. */
export function macAt(words: Uint32Array, at: number): Mac {
  return Buffer.from(words.buffer, words.byteOffset + 4 * at, MAC_BYTES).toString('hex') as Mac
}

function placeOf(number: number): number {
  return (number % SEGMENT) * MAC_WORDS
}
