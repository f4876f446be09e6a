import {type Mac, MAC_BYTES, macFromBytes, macToBytes} from '../kloset/mac.js'

const FIRST_CAPACITY = 256

/** MACs at 36 bytes each, walked in their order: two stores of a million objects are compared in little memory. */
export class MacSet implements Iterable<Mac> {
  #bytes = Buffer.alloc(FIRST_CAPACITY * MAC_BYTES)
  #count = 0
  /** Where each one lies, in the order of the MACs; none while MACs are being added. */
  #order: Uint32Array | undefined

  /** How many there are, each once. */
  get size(): number {
    return this.#sorted().length
  }

  add(mac: Mac): void {
    if ((this.#count + 1) * MAC_BYTES > this.#bytes.length) {
      const larger = Buffer.alloc(this.#bytes.length * 2)
      this.#bytes.copy(larger)
      this.#bytes = larger
    }

    macToBytes(mac).copy(this.#bytes, this.#count * MAC_BYTES)
    this.#count += 1
    this.#order = undefined
  }

  has(mac: Mac): boolean {
    const order = this.#sorted()
    const wanted = macToBytes(mac)
    let [low, high] = [0, order.length]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const compared = this.#compare(wanted, 0, order[middle]!)
      if (compared === 0) return true
      if (compared < 0) high = middle
      else low = middle + 1
    }

    return false
  }

  *[Symbol.iterator](): Generator<Mac> {
    for (const index of this.#sorted())
      yield macFromBytes(this.#bytes.subarray(index * MAC_BYTES, (index + 1) * MAC_BYTES))
  }

  /** The order of a MAC elsewhere (number `at` of `bytes`) against number `index` of ours. */
  #compare(bytes: Buffer, at: number, index: number): number {
    const start = index * MAC_BYTES
    return bytes.compare(this.#bytes, start, start + MAC_BYTES, at * MAC_BYTES, (at + 1) * MAC_BYTES)
  }

  #sorted(): Uint32Array {
    if (this.#order) return this.#order
    const order = Uint32Array.from({length: this.#count}, (_, index) => index)
    order.sort((a, b) => this.#compare(this.#bytes, a, b))
    // A list may name a tag twice.
    this.#order = order.filter((index, at) => at === 0 || this.#compare(this.#bytes, index, order[at - 1]!) !== 0)
    return this.#order
  }
}

/** Where a MAC was found. */
export type Sides = 'both' | 'left' | 'right'

/** Two sets as one walk in the order of the MACs. */
export function* mergeMacs(left: Iterable<Mac>, right: Iterable<Mac>): Generator<readonly [Mac, Sides]> {
  const [lefts, rights] = [left[Symbol.iterator](), right[Symbol.iterator]()]
  let [a, b] = [next(lefts), next(rights)]
  while (a !== undefined || b !== undefined) {
    if (a !== undefined && a === b) {
      yield [a, 'both']
      ;[a, b] = [next(lefts), next(rights)]
    } else if (a !== undefined && (b === undefined || a < b)) {
      yield [a, 'left']
      a = next(lefts)
    } else if (b !== undefined) {
      yield [b, 'right']
      b = next(rights)
    }
  }
}

function next(macs: Iterator<Mac>): Mac | undefined {
  const {done, value} = macs.next()
  return done ? undefined : value
}
