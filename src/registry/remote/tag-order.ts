import {ProtocolError} from '../../errors.js'

type Comparer = (a: string, b: string) => number

const byAscii: Comparer = (a, b) => (a < b ? -1 : a > b ? 1 : 0)
const byFold: Comparer = (a, b) => byAscii(a.toLowerCase(), b.toLowerCase()) || byAscii(a, b)

/** So many names are kept to find out whether a list is sorted at all. */
const TRIAL = 5000

/**
 * Gives each tag once, across pages and across passes over the list, without keeping the names of a sorted list.
 *
 * The specification has tags sorted, by byte or without regard to case. As long as what comes is sorted in one of these
 * ways, its last name says what has been given. The names of a list that proves unsorted early are all kept; a list
 * that is sorted at first and unsorted much later cannot be told from one that repeats itself, and is refused.
 */
export class TagOrder {
  #ascii = true
  #fold = true
  /** Greatest name given so far, in the order that holds. */
  #last: string | undefined
  #lastInPass: string | undefined
  #previousPage: readonly string[] = []
  /** Every name given, while these are few or when the list is not sorted. */
  #seen: Set<string> | undefined = new Set()
  #total = 0
  readonly #what: string

  constructor(what: string) {
    this.#what = what
  }

  get #sorted(): boolean {
    return this.#ascii || this.#fold
  }

  /** How many tags were given. */
  get total(): number {
    return this.#total
  }

  /** Whether a tag has not been given yet, as far as the order tells. */
  isNew(tag: string): boolean {
    if (this.#seen) return !this.#seen.has(tag)
    return this.#last === undefined || this.#compare(tag, this.#last) > 0
  }

  /** The list is read again from its beginning. */
  restart(): void {
    this.#lastInPass = undefined
    this.#previousPage = []
  }

  /**
   * The tags of a page that were not given before, in its order.
   * @throws ProtocolError when the order breaks after too many names to have kept them
   */
  take(tags: readonly string[]): string[] {
    const before = new Set(this.#previousPage)
    for (const tag of tags) if (this.#sorted) this.#observe(tag, before)
    const fresh: string[] = []
    for (const tag of tags) {
      if (!this.isNew(tag)) continue
      fresh.push(tag)
      if (this.#last === undefined || this.#compare(tag, this.#last) > 0) this.#last = tag
      if (this.#sorted && this.#total + fresh.length > TRIAL) this.#seen = undefined
      this.#seen?.add(tag)
    }

    this.#total += fresh.length
    this.#previousPage = tags
    return fresh
  }

  #compare(a: string, b: string): number {
    return this.#ascii ? byAscii(a, b) : byFold(a, b)
  }

  #observe(tag: string, before: ReadonlySet<string>): void {
    const previous = this.#lastInPass
    // What the page before had already is an overlap, not disorder.
    if (previous === undefined || before.has(tag)) {
      this.#lastInPass ??= tag
      return
    }

    const ascii = this.#ascii && byAscii(tag, previous) >= 0
    const fold = this.#fold && byFold(tag, previous) >= 0
    if (!ascii && !fold && !this.#seen) {
      throw new ProtocolError(`${this.#what}: the list is not sorted any more after ${this.#total} tags`, {
        facts: {tags: this.#total},
        suggestions: ['Read the list again when nobody writes to the repository.'],
      })
    }

    this.#ascii = ascii
    this.#fold = fold
    this.#lastInPass = tag
  }
}
