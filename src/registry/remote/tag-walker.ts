import type {CallOptions} from '../interfaces.js'
import type {RemoteContext} from './context.js'

import {ProtocolError} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {TagOrder} from './tag-order.js'
import {PageRefused, readTagPage, type TagPage} from './tag-page.js'

/** What a page is asked for: the most that any registry allows, then what all allow, then nothing. */
const PAGE_SIZES = [1000, 100, undefined] as const

/** Lengths at which lists are cut by registries that do not say so. */
const ROUND = new Set([50, 100, 200, 250, 500, 1000, 2000, 2500, 5000, 10_000])

export interface TagLimits {
  readonly pages: number
  readonly passes: number
  readonly tags: number
}

const LIMITS: TagLimits = {pages: 10_000, passes: 3, tags: 10_000_000}

/** A page behind the first was refused: the place where it began has gone from the list. */
class StaleCursor extends Error {
  override name = 'StaleCursor'
}

interface Cursor {
  readonly how: 'first' | 'last' | 'link'
  readonly page: TagPage
}

/**
 * Walks over every tag of a repository, each once. Complete, or it throws: pages that repeat, lists without an end and
 * lists that stop at a round number and offer no way on are errors.
 */
export class TagWalker {
  readonly #context: RemoteContext
  readonly #limits: TagLimits
  readonly #what: string

  constructor(context: RemoteContext, limits: Partial<TagLimits> = {}) {
    this.#context = context
    this.#limits = {...LIMITS, ...limits}
    this.#what = `tags of ${context.location}`
  }

  get #pageSize(): number | undefined {
    const {tagPageSize} = this.#context.capabilities
    return tagPageSize === 'unknown' ? undefined : tagPageSize
  }

  /** @yields tags, in the registry's order */
  async *walk(options: CallOptions = {}): AsyncGenerator<string> {
    const order = new TagOrder(this.#what)
    for (let pass = 1; ; pass++) {
      try {
        for await (const tags of this.#pages(order, options)) {
          for (const tag of tags) {
            throwIfAborted(options.signal)
            yield tag
          }
        }

        return
      } catch (error) {
        if (!(error instanceof StaleCursor)) throw error
        if (pass < this.#limits.passes) order.restart()
        else {
          throw new ProtocolError(`${this.#what}: the list changed each time it was read (${pass} times)`, {
            cause: error.cause,
            facts: {passes: pass, tags: order.total},
            suggestions: ['Read the list again when fewer clients write to the repository.'],
          })
        }
      }
    }
  }

  /**
   * What lies behind a page without a link: nothing, when those before it had one. A first page of a round length is
   * asked to go on behind its last tag; what that brings is believed only when it is new.
   */
  async #beyond(cursor: Cursor, order: TagOrder, options: CallOptions): Promise<Cursor | undefined> {
    const {tags} = cursor.page
    const n = this.#pageSize
    const round = tags.length === n || ROUND.has(tags.length)
    const suspicious = cursor.how === 'last' || (cursor.how === 'first' && round)
    const last = tags.at(-1)
    if (last === undefined || !suspicious) return undefined
    const page = await readTagPage(this.#context, this.#context.urls.tags({last, n}), options)
    if (!(page instanceof PageRefused) && page.tags.some((tag) => order.isNew(tag))) {
      this.#context.capabilities.lastParameter = 'honoured'
      return {how: 'last', page}
    }

    if (this.#context.capabilities.lastParameter === 'honoured') return undefined
    if (!(page instanceof PageRefused) && page.tags.length === 0) return undefined
    if (await this.#goesOnBehind(tags, options)) return undefined
    if (await this.#sendsAll(tags, options)) return undefined
    throw new ProtocolError(`${this.#what}: the list stops at ${tags.length} tags and offers no way on`, {
      facts: {tags: order.total},
      suggestions: ['Raise the page size of the registry, or use one that pages its lists (Link header).'],
    })
  }

  #endless(pages: number, order: TagOrder): ProtocolError {
    return new ProtocolError(`${this.#what}: the list has no end (${order.total} tags on ${pages} pages)`, {
      facts: {pages, tags: order.total},
      suggestions: ['Report it to the operator of the registry: its pages lead round in a circle.'],
    })
  }

  /** The first page, with the largest page size that the registry takes; undefined when there is no repository. */
  async #first(options: CallOptions): Promise<Cursor | undefined> {
    const {capabilities, urls} = this.#context
    const known = capabilities.tagPageSize
    const sizes = known === 'unknown' ? PAGE_SIZES : [known]
    for (const [index, n] of sizes.entries()) {
      const page = await readTagPage(this.#context, urls.tags({n}), options)
      if (!(page instanceof PageRefused)) {
        capabilities.tagPageSize = n
        return {how: 'first', page}
      }

      if (page.unknownRepository) return undefined
      if (page.error.status === 404 || index === sizes.length - 1) throw page.error
    }

    return undefined
  }

  async #follow(url: URL, options: CallOptions): Promise<TagPage> {
    const page = await readTagPage(this.#context, url, options)
    if (page instanceof PageRefused) throw new StaleCursor('the next page was refused', {cause: page.error})
    return page
  }

  /** Whether `last` does anything here: then nothing behind the last tag means that it is the last. */
  async #goesOnBehind(tags: readonly string[], options: CallOptions): Promise<boolean> {
    const [first] = tags
    if (first === undefined || tags.length < 2) return false
    const page = await readTagPage(this.#context, this.#context.urls.tags({last: first, n: this.#pageSize}), options)
    const honoured = !(page instanceof PageRefused) && page.tags.length > 0 && !page.tags.includes(first)
    this.#context.capabilities.lastParameter = honoured ? 'honoured' : 'ignored'
    return honoured
  }

  /** One pass over the pages. */
  async *#pages(order: TagOrder, options: CallOptions): AsyncGenerator<readonly string[]> {
    const visited = new Set<string>()
    const contents = new Set<string>()
    let cursor = await this.#first(options)
    for (let pages = 1; cursor; pages++) {
      const {page} = cursor
      this.#refuseRepetition(page, contents)
      const fresh = order.take(page.tags)
      if (order.total > this.#limits.tags || pages >= this.#limits.pages) throw this.#endless(pages, order)
      yield fresh
      if (page.next) {
        if (visited.has(page.next.href)) throw this.#endless(pages, order)
        visited.add(page.next.href)
        cursor = {how: 'link', page: await this.#follow(page.next, options)}
      } else cursor = await this.#beyond(cursor, order, options)
    }
  }

  /** @throws ProtocolError when a page has come before in this pass */
  #refuseRepetition({tags}: TagPage, contents: Set<string>): void {
    // Pages of nothing may come from a registry that filters what we may see.
    if (tags.length === 0) return
    const key = `${tags.length} ${tags[0] ?? ''} ${tags.at(-1) ?? ''}`
    if (!contents.has(key)) {
      contents.add(key)
      return
    }

    throw new ProtocolError(`${this.#what}: the same page comes again`, {
      suggestions: ['Report it to the operator of the registry: its pages lead round in a circle.'],
    })
  }

  /** Whether the list comes whole however few are asked for: it is not cut into pages at all then. */
  async #sendsAll(tags: readonly string[], options: CallOptions): Promise<boolean> {
    const page = await readTagPage(this.#context, this.#context.urls.tags({n: Math.ceil(tags.length / 2)}), options)
    if (page instanceof PageRefused) return this.#pageSize === undefined
    return page.tags.length >= tags.length
  }
}
