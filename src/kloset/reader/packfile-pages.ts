import type {Page} from './page.js'

/** Pages to be loaded with one request. */
export interface Run {
  readonly count: number
  readonly first: number
  /** Set when the run goes on from what was read before: a use of its first page asks for the one behind it. */
  readonly walking: boolean
}

export interface PackfilePagesOptions {
  readonly mac: string
  /** Pages that one request asks for at the most. */
  readonly maxRun: number
  readonly pageBytes: number
  readonly size: number
}

/**
 * What is known of one packfile: its size, its pages, and how much to ask for next. A jump to a new place loads as
 * little as it can; going on from there loads twice as much every time, so that a walk costs few requests.
 */
export class PackfilePages {
  readonly mac: string
  readonly pageCount: number
  readonly pages = new Map<number, Page>()
  readonly size: number
  readonly #maxRun: number
  readonly #pageBytes: number
  #run = 1

  constructor({mac, maxRun, pageBytes, size}: PackfilePagesOptions) {
    this.mac = mac
    this.pageCount = Math.ceil(size / pageBytes)
    this.size = size
    this.#maxRun = maxRun
    this.#pageBytes = pageBytes
  }

  /** The run behind `page`, when its use is the sign to load it ahead of time. Given once. */
  ahead(page: Page): Run | undefined {
    const first = page.next
    if (first === undefined) return undefined
    page.next = undefined
    if (first >= this.pageCount || this.pages.has(first)) return undefined
    return this.#plan(first, 1, true)
  }

  lengthOf(index: number): number {
    return Math.min(this.#pageBytes, this.size - index * this.#pageBytes)
  }

  /** The run to load for pages `[first, last]`, of which `first` is missing. */
  miss(first: number, last: number): Run {
    return this.#plan(first, last - first + 1, this.pages.has(first - 1))
  }

  /** Neither beyond the end nor over a page that is there. */
  #plan(first: number, needed: number, walking: boolean): Run {
    this.#run = walking ? Math.min(this.#maxRun, this.#run * 2) : 1
    // Never more than a run, however long the range: whoever reads it may be slow.
    const wanted = Math.max(Math.min(needed, this.#maxRun), this.#run)
    let count = 1
    while (count < wanted && first + count < this.pageCount && !this.pages.has(first + count)) count++
    return {count, first, walking}
  }
}
