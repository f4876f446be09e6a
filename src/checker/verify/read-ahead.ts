import type {Judges} from './judges.js'

import {ByteBudget, type Lent} from '../../util/byte-budget.js'

const MIB = 1024 * 1024

/** Packfiles in memory at the same time, in bytes. */
const MAX_BYTES = 192 * MIB

/** So much is read ahead whatever the judges are at. */
const EAGER_BYTES = 48 * MIB

/** Packfiles beside those that are judged. */
const EAGER_COUNT = 1

/** When judges wait, a registry may be slow, or this thread be busy: many more at once help neither. */
const MAX_EXTRA = 2

/**
 * Memory for packfiles that are read and judged. One that waits for a judge only takes room: few are read ahead, and one
 * more each time that a judge had to wait for a packfile.
 */
export class ReadAhead {
  readonly #budget = new ByteBudget(MAX_BYTES, {mayLend: (lent) => this.#isWanted(lent)})
  #extra = 0
  readonly #judges: Pick<Judges, 'threads' | 'waiting'> | undefined

  constructor(judges: Pick<Judges, 'threads' | 'waiting'> | undefined) {
    this.#judges = judges
  }

  /** Runs `use`, which reads and judges a packfile, when there is room. */
  async spend<T>(bytes: number, use: () => Promise<T>): Promise<T> {
    return this.#budget.spend(bytes, async () => {
      try {
        return await use()
      } finally {
        const isWaiting = (this.#judges?.waiting ?? 0) > 0
        this.#extra = isWaiting ? Math.max(0, this.#extra - 1) : Math.min(MAX_EXTRA, this.#extra + 1)
      }
    })
  }

  #isWanted({bytes, loans}: Lent): boolean {
    return bytes < EAGER_BYTES || loans < (this.#judges?.threads ?? 1) + EAGER_COUNT + this.#extra
  }
}
