import {LRUCache} from 'lru-cache'

/** One aligned piece of a packfile, on its way or in memory. Its bytes never change once it is loaded. */
export interface Page {
  /** Set when the page is loaded. */
  bytes: Buffer | undefined
  readonly index: number
  readonly length: number
  /** Settles when the page is loaded or cannot be. */
  readonly loading: Promise<Buffer>
  /** Where to load ahead when this page is used for the first time. */
  next: number | undefined
}

/**
 * Keeps the pages that were used last, bounded in bytes. Pages on their way count as well: what is being read is memory
 * too.
 */
export class PageCache {
  readonly #pages: LRUCache<Page, Page>

  /** @param onEvict is told of every page that leaves, whatever the reason */
  constructor(maxBytes: number, onEvict: (page: Page) => void) {
    this.#pages = new LRUCache<Page, Page>({
      dispose: (page) => onEvict(page),
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: ({length}) => Math.max(1, length),
    })
  }

  get bytes(): number {
    return this.#pages.calculatedSize
  }

  add(page: Page): void {
    this.#pages.set(page, page)
  }

  delete(page: Page): void {
    this.#pages.delete(page)
  }

  /** Moves a page to the end of the queue of those to go. */
  touch(page: Page): void {
    this.#pages.get(page)
  }
}
