const NOBODY = 0
const SEVERAL = 2 ** 32 - 1

/** Who needs a location: nobody, one snapshot, or several. Four bytes each. */
export class BlobMarks {
  readonly #owners: Uint32Array

  constructor(rows: number) {
    this.#owners = new Uint32Array(rows)
  }

  isMarked(row: number): boolean {
    return this.#owners[row] !== NOBODY
  }

  /** @returns whether that is news: the first snapshot that needs it, or the second */
  mark(row: number, snapshot: number): boolean {
    const owner = this.#owners[row]
    if (owner === SEVERAL || owner === snapshot + 1) return false
    this.#owners[row] = owner === NOBODY ? snapshot + 1 : SEVERAL
    return true
  }

  /** The snapshot that alone needs it. */
  onlyOwner(row: number): number | undefined {
    const owner = this.#owners[row]
    return owner === undefined || owner === NOBODY || owner === SEVERAL ? undefined : owner - 1
  }
}
