import type {Readable} from 'node:stream'

import {setMaxListeners} from 'node:events'

import type {CallOptions} from '../../registry/interfaces.js'
import type {Mac} from '../mac.js'
import type {Resource} from '../resource.js'
import type {GetOptions, ObjectRange} from '../store.js'

import {InterruptedError, ProtocolError} from '../../errors.js'
import {interruption} from '../../util/abort.js'
import {drain} from '../../util/drain.js'
import {PackfilePages, type Run} from './packfile-pages.js'
import {type Page, PageCache} from './page.js'

/** What the reader needs of a store. */
export interface ReadableStore {
  get(resource: Resource, mac: Mac, options?: GetOptions): Promise<Readable>
  stat(resource: Resource, mac: Mac, options?: CallOptions): Promise<{readonly size: number}>
}

export interface PackfileReaderOptions {
  /** Bytes of pages kept in memory, those on their way included. Default 128 MiB. */
  readonly cacheBytes?: number | undefined
  /** The longest run that one request asks for. Default 8 MiB. */
  readonly maxRunBytes?: number | undefined
  /** Size of a page. Default 1 MiB. */
  readonly pageBytes?: number | undefined
  /** Load the next run before it is asked for when a packfile is walked in order. Default true. */
  readonly readAhead?: boolean | undefined
}

const MIB = 1024 * 1024

/** Packfiles remembered beside those of which something is in memory. */
const MAX_PACKFILES = 8192

/**
 * Reads small ranges of packfiles, thousands of them, with few requests: pages are loaded in runs, kept, shared between
 * those who wait for them, and loaded ahead of a walk. Only packfiles: they never change under their MAC.
 */
export class PackfileReader {
  readonly #abort = new AbortController()
  readonly #cache: PageCache
  readonly #maxRun: number
  readonly #opening = new Map<string, Promise<PackfilePages>>()
  readonly #owners = new WeakMap<Page, PackfilePages>()
  readonly #packfiles = new Map<string, PackfilePages>()
  readonly #pageBytes: number
  readonly #readAhead: boolean
  readonly #store: ReadableStore

  constructor(store: ReadableStore, options: PackfileReaderOptions = {}) {
    const {cacheBytes = 128 * MIB, maxRunBytes = 8 * MIB, pageBytes = MIB, readAhead = true} = options
    // Every run under way listens, and that is no leak.
    setMaxListeners(0, this.#abort.signal)
    this.#cache = new PageCache(cacheBytes, (page) => this.#evicted(page))
    this.#pageBytes = Math.min(pageBytes, Math.max(1, Math.floor(cacheBytes / 4)))
    this.#maxRun = Math.max(1, Math.floor(Math.min(maxRunBytes, cacheBytes / 2) / this.#pageBytes))
    this.#readAhead = readAhead
    this.#store = store
  }

  /** Bytes in memory or on their way. */
  get cachedBytes(): number {
    return this.#cache.bytes
  }

  /** Ends what is being loaded. Whoever waits for it gets `InterruptedError`. */
  close(): void {
    this.#abort.abort(new InterruptedError('the store has been closed'))
    this.#packfiles.clear()
  }

  /** A packfile that was deleted, or is about to be written: nothing that is known of it holds any more. */
  forget(mac: Mac): void {
    this.#opening.delete(mac)
    const packfile = this.#packfiles.get(mac)
    if (!packfile) return
    this.#packfiles.delete(mac)
    for (const page of packfile.pages.values()) this.#cache.delete(page)
  }

  /**
   * Streams a range; one that reaches beyond the end is cut there.
   * @yields its bytes in order, as views of memory that is shared: they must not be written to
   * @throws what the store throws; a failed range can be asked for again
   */
  async *read(mac: Mac, {length, offset}: ObjectRange, {signal}: CallOptions = {}): AsyncGenerator<Buffer> {
    const packfile = this.#packfiles.get(mac) ?? (await abandonable(this.#open(mac), signal))
    const end = Math.min(offset + length, packfile.size)
    if (offset >= end) return
    const last = Math.floor((end - 1) / this.#pageBytes)
    for (let index = Math.floor(offset / this.#pageBytes); index <= last; index++) {
      const page = this.#page(packfile, index, last)
      const bytes = page.bytes ?? (await abandonable(page.loading, signal))
      this.#used(packfile, page)
      const start = index * this.#pageBytes
      yield bytes.subarray(Math.max(0, offset - start), Math.min(bytes.length, end - start))
    }
  }

  /**
   * Hands out a range that is in memory, at once: as `read`, but without a promise.
   * @returns false, and nothing was handed out, when some of it is not
   */
  readNow(mac: string, {length, offset}: ObjectRange, emit: (bytes: Buffer) => void): boolean {
    const packfile = this.#packfiles.get(mac)
    if (!packfile) return false
    const end = Math.min(offset + length, packfile.size)
    if (offset >= end) return true
    const first = Math.floor(offset / this.#pageBytes)
    const last = Math.floor((end - 1) / this.#pageBytes)
    for (let index = first; index <= last; index++) if (!packfile.pages.get(index)?.bytes) return false
    for (let index = first; index <= last; index++) {
      const page = packfile.pages.get(index)!
      const start = index * this.#pageBytes
      emit(page.bytes!.subarray(Math.max(0, offset - start), Math.min(page.length, end - start)))
      this.#used(packfile, page)
    }

    return true
  }

  #evicted(page: Page): void {
    const packfile = this.#owners.get(page)
    if (packfile?.pages.get(page.index) !== page) return
    packfile.pages.delete(page.index)
    if (packfile.pages.size === 0 && this.#packfiles.get(packfile.mac) === packfile)
      this.#packfiles.delete(packfile.mac)
  }

  /** Starts one request for a run of pages. */
  #load(packfile: PackfilePages, {count, first, walking}: Run): void {
    const pages: LoadingPage[] = []
    for (let index = first; index < first + count; index++) {
      const page = new LoadingPage(index, packfile.lengthOf(index))
      pages.push(page)
      packfile.pages.set(index, page)
      this.#owners.set(page, packfile)
    }

    if (walking) pages[0]!.next = first + count
    // The first one is wanted most, and so the last that may go.
    for (const page of pages.toReversed()) this.#cache.add(page)
    this.#transfer(packfile, pages).catch((error: unknown) => {
      for (const page of pages) {
        if (page.bytes) continue
        page.reject(error)
        if (packfile.pages.get(page.index) === page) packfile.pages.delete(page.index)
        this.#cache.delete(page)
      }
    })
  }

  #note(packfile: PackfilePages): void {
    this.#packfiles.set(packfile.mac, packfile)
    if (this.#packfiles.size <= MAX_PACKFILES) return
    for (const [mac, {pages}] of this.#packfiles) if (pages.size === 0) this.#packfiles.delete(mac)
  }

  async #open(mac: Mac): Promise<PackfilePages> {
    let opening = this.#opening.get(mac)
    if (!opening) {
      const started = this.#stat(mac)
      opening = started
      this.#opening.set(mac, started)
      const done = (packfile?: PackfilePages) => {
        if (this.#opening.get(mac) !== started) return
        this.#opening.delete(mac)
        if (packfile) this.#note(packfile)
      }

      started.then(done, () => done())
    }

    return opening
  }

  #page(packfile: PackfilePages, index: number, last: number): Page {
    const page = packfile.pages.get(index)
    if (page) return page
    this.#load(packfile, packfile.miss(index, last))
    return packfile.pages.get(index)!
  }

  async #stat(mac: Mac): Promise<PackfilePages> {
    const {size} = await this.#store.stat('packfile', mac, {signal: this.#abort.signal})
    return new PackfilePages({mac, maxRun: this.#maxRun, pageBytes: this.#pageBytes, size})
  }

  /** Fills pages from one ranged read, in order. */
  async #transfer(packfile: PackfilePages, pages: readonly LoadingPage[]): Promise<void> {
    const offset = pages[0]!.index * this.#pageBytes
    const length = pages.reduce((sum, page) => sum + page.length, 0)
    const {signal} = this.#abort
    const stream = await this.#store.get('packfile', packfile.mac as Mac, {range: {length, offset}, signal})
    let current = 0
    await drain(stream, (piece) => {
      let at = 0
      while (at < piece.length && current < pages.length) {
        at += pages[current]!.fill(piece, at)
        if (pages[current]!.bytes) current++
      }
    })

    if (current < pages.length) {
      throw new ProtocolError(`packfile ${packfile.mac}: a range of ${length} bytes at ${offset} came short`, {
        facts: {length, offset},
      })
    }
  }

  #used(packfile: PackfilePages, page: Page): void {
    this.#cache.touch(page)
    if (!this.#readAhead) return
    const run = packfile.ahead(page)
    if (run) this.#load(packfile, run)
  }
}

/** A page that is being filled. */
class LoadingPage implements Page {
  bytes: Buffer | undefined
  readonly index: number
  readonly length: number
  readonly loading: Promise<Buffer>
  next: number | undefined
  #buffer: Buffer | undefined
  #filled = 0
  #reject!: (error: unknown) => void
  #resolve!: (bytes: Buffer) => void

  constructor(index: number, length: number) {
    this.index = index
    this.length = length
    this.loading = new Promise((resolve, reject) => {
      this.#reject = reject
      this.#resolve = resolve
    })
    // Nobody may be waiting: a page that was loaded ahead fails silently and is asked for again when it is needed.
    this.loading.catch(() => {})
  }

  /** @returns the bytes taken */
  fill(chunk: Buffer, at: number): number {
    this.#buffer ??= Buffer.allocUnsafeSlow(this.length)
    const taken = chunk.copy(this.#buffer, this.#filled, at)
    this.#filled += taken
    if (this.#filled === this.length) {
      this.bytes = this.#buffer
      this.#resolve(this.#buffer)
    }

    return taken
  }

  reject(error: unknown): void {
    this.#reject(error)
  }
}

/** The promise's outcome, or `InterruptedError` when the signal is first: the work goes on for others. */
async function abandonable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  if (signal.aborted) throw interruption(signal)
  let onAbort!: () => void
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(interruption(signal))
    signal.addEventListener('abort', onAbort, {once: true})
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
