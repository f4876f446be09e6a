import type {Judges} from './judges.js'

import {ByteBudget, type Lent} from '../../util/byte-budget.js'

const MIB = 1024 * 1024

/** Packfiles in memory at the same time, in bytes. */
const MAX_BYTES = 192 * MIB

/** So much is read ahead whatever the judges are at. */
const EAGER_BYTES = 48 * MIB

/** Packfiles beside those that are judged. */
const EAGER_COUNT = 1

/** More, when judges wait for packfiles: while this thread is busy, many at once would help nobody. */
const MAX_EXTRA = 2

/** While it has little to do it waits for a slow registry or disk, and what is fetched at once comes sooner. */
const MAX_EXTRA_IDLE = 12

/** The share of its time that this thread is at work, below which it has little to do. */
const IDLE_SHARE = 0.6

export interface ReadAheadOptions {
  /** The share of its time, 0 to 1, that this thread is at work. */
  readonly busyShare?: () => number
}

/**
 * Memory for packfiles that are read and judged. One that waits for a judge only takes room: few are read ahead, and one
 * more each time that a judge had to wait for a packfile.
 */
export class ReadAhead {
  readonly #budget = new ByteBudget(MAX_BYTES, {mayLend: (lent) => this.#isWanted(lent)})
  readonly #busyShare: () => number
  #extra = 0
  readonly #judges: Pick<Judges, 'threads' | 'waiting'> | undefined

  constructor(
    judges: Pick<Judges, 'threads' | 'waiting'> | undefined,
    {busyShare = loopShare()}: ReadAheadOptions = {},
  ) {
    this.#busyShare = busyShare
    this.#judges = judges
  }

  /** Runs `use`, which reads and judges a packfile, when there is room. */
  async spend<T>(bytes: number, use: () => Promise<T>): Promise<T> {
    return this.#budget.spend(bytes, async () => {
      try {
        return await use()
      } finally {
        const most = this.#mostExtra()
        this.#extra = this.#extra < most ? this.#extra + 1 : Math.max(this.#extra - 1, most)
      }
    })
  }

  #isWanted({bytes, loans}: Lent): boolean {
    return bytes < EAGER_BYTES || loans < (this.#judges?.threads ?? 1) + EAGER_COUNT + this.#extra
  }

  /** None while packfiles wait to be judged. */
  #mostExtra(): number {
    const isBusy = this.#busyShare() >= IDLE_SHARE
    if ((this.#judges?.waiting ?? 0) > 0) return 0
    return isBusy ? MAX_EXTRA : MAX_EXTRA_IDLE
  }
}

/** How busy this thread's event loop has been of late; as long as nothing is known, busy. */
function loopShare(): () => number {
  let [average, last] = [1, performance.eventLoopUtilization()]
  return () => {
    const now = performance.eventLoopUtilization()
    average += (performance.eventLoopUtilization(now, last).utilization - average) / 4
    last = now
    return average
  }
}
