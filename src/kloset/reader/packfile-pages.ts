import type {Page} from './page.js'

/** Pages to be loaded with one request. */
export interface Run {
  readonly count: number
  readonly first: number
}

/**
 * What is known of one packfile: its size, its pages, and how it is being read. Runs start small, so that a single blob
 * costs little, and double with every further one, so that a walk costs few requests.
 */
export class PackfilePages {
  readonly mac: string
  readonly pages = new Map<number, Page>()
  readonly size: number
  /** First page behind the last run. */
  #frontier = 0
  readonly #maxRun: number
  #nextRun: number
  readonly #pageBytes: number
  /** A use of this page or one behind it asks for the next run ahead of time. */
  #trigger = Number.POSITIVE_INFINITY

  constructor(options: {
    readonly mac: string
    readonly maxRun: number
    readonly pageBytes: number
    readonly size: number
  }) {
    const {mac, maxRun, pageBytes, size} = options
    this.mac = mac
    this.size = size
    this.#maxRun = maxRun
    this.#nextRun = 1
    this.#pageBytes = pageBytes
  }

  get pageCount(): number {
    return Math.ceil(this.size / this.#pageBytes)
  }

  /** The run to load ahead after a use of `index`, if it is time for one. */
  ahead(index: number): Run | undefined {
    if (index < this.#trigger) return undefined
    this.#trigger = Number.POSITIVE_INFINITY
    if (this.#frontier >= this.pageCount || this.pages.has(this.#frontier)) return undefined
    const run = this.#plan(this.#frontier, this.#nextRun)
    this.#advance(run)
    return run
  }

  lengthOf(index: number): number {
    return Math.min(this.#pageBytes, this.size - index * this.#pageBytes)
  }

  /** The run to load for pages `[first, last]`, of which `first` is missing. */
  miss(first: number, last: number): Run {
    const run = this.#plan(first, Math.max(last - first + 1, this.#nextRun))
    this.#advance(run)
    return run
  }

  #advance({count, first}: Run): void {
    const walking = first === this.#frontier && first > 0
    this.#frontier = first + count
    this.#nextRun = Math.min(this.#maxRun, this.#nextRun * 2)
    this.#trigger = walking ? first : Number.POSITIVE_INFINITY
  }

  /** Not beyond the end, nor over a page that is there. */
  #plan(first: number, wanted: number): Run {
    let count = 1
    while (count < wanted && first + count < this.pageCount && !this.pages.has(first + count)) count++
    return {count, first}
  }
}
