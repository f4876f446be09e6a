/* eslint-disable no-bitwise -- bits of a set */

/** Rows of one segment: memory is taken where there is something to note. */
const SEGMENT = 2 ** 16

/** Sets of so many numbers are kept once for all rows that have them. */
const MAX_SHARED = 4

/** A set of rows: one bit for each. */
export class RowSet {
  readonly #bits: Uint8Array

  constructor(rows: number) {
    this.#bits = new Uint8Array(Math.ceil(rows / 8))
  }

  /** @returns whether it is new */
  add(row: number): boolean {
    const [at, bit] = [Math.floor(row / 8), 1 << (row % 8)]
    if ((this.#bits[at]! & bit) !== 0) return false
    this.#bits[at]! |= bit
    return true
  }
}

/** Sets of numbers under rows: four bytes a row, and more only where many are in one set. */
export class RowNotes {
  readonly #known = new Map<string, number>()
  readonly #segments = new Map<number, Uint32Array>()
  /** The first is that of a row without any. */
  readonly #sets: Set<number>[] = [new Set()]

  add(row: number, number: number): void {
    const known = this.get(row)
    if (known.has(number)) return
    // A set of its own, which no other row has.
    if (known.size > MAX_SHARED) {
      known.add(number)
      return
    }

    const numbers = [...known, number]
    const name = numbers.length > MAX_SHARED ? undefined : numbers.join(' ')
    const shared = name === undefined ? undefined : this.#known.get(name)
    const place = shared ?? this.#sets.push(new Set(numbers)) - 1
    if (name !== undefined) this.#known.set(name, place)
    this.#segment(row)[row % SEGMENT] = place
  }

  /** Good until the row gets another one. */
  get(row: number): Set<number> {
    const place = this.#segments.get(Math.floor(row / SEGMENT))?.[row % SEGMENT]
    return this.#sets[place ?? 0]!
  }

  #segment(row: number): Uint32Array {
    const number = Math.floor(row / SEGMENT)
    const known = this.#segments.get(number)
    if (known) return known
    const segment = new Uint32Array(SEGMENT)
    this.#segments.set(number, segment)
    return segment
  }
}
