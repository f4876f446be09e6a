import {randomUUID} from 'node:crypto'

import type {BlobIngest} from '../../registry/local/ingest.js'

import {InterruptedError} from '../../errors.js'
import {type Clock, systemClock} from '../../util/clock.js'
import {fault, HttpFault} from '../faults.js'

const DEFAULT_IDLE_MS = 60 * 60 * 1000
const DEFAULT_MAX = 10_000
const SWEEPS_PER_IDLE_TIME = 10

/** An upload under way: its id is only known to who began it. */
export class UploadSession {
  readonly id = randomUUID()
  readonly ingest: BlobIngest
  /** The repository that it was begun in. */
  readonly name: string
  #running: undefined | {readonly controller: AbortController; readonly done: Promise<unknown>}

  constructor(name: string, ingest: BlobIngest) {
    this.name = name
    this.ingest = ingest
  }

  get isBusy(): boolean {
    return this.#running !== undefined
  }

  /** Throws away what came, once nobody writes any more. */
  async end(): Promise<void> {
    await this.#quiet(new InterruptedError('upload ended'))
    await this.ingest.abort()
  }

  /**
   * Runs `work` with nobody else in the session. A request that is still under way is ended, since its client has given
   * it up to send this one; what it brought stays.
   */
  async exclusive<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    await this.#quiet(new InterruptedError('another request took over the upload'))
    const controller = new AbortController()
    const running = work(controller.signal)
    const mine = {controller, done: running.catch(() => {})}
    this.#running = mine
    try {
      return await running
    } finally {
      if (this.#running === mine) this.#running = undefined
    }
  }

  async #quiet(reason: Error): Promise<void> {
    while (this.#running) {
      this.#running.controller.abort(reason)
      await this.#running.done
    }
  }
}

export interface UploadSessionsOptions {
  readonly clock?: Clock | undefined
  /** A session that nobody has used for so long is thrown away. An hour by default. */
  readonly idleMs?: number | undefined
  /** Sessions at the same time; one more is refused. */
  readonly max?: number | undefined
}

/** The uploads of a server. */
export class UploadSessions {
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #max: number
  readonly #sessions = new Map<string, {readonly session: UploadSession; usedAt: number}>()

  constructor({clock = systemClock, idleMs = DEFAULT_IDLE_MS, max = DEFAULT_MAX}: UploadSessionsOptions = {}) {
    this.#clock = clock
    this.#idleMs = idleMs
    this.#max = max
  }

  get size(): number {
    return this.#sessions.size
  }

  /** @throws HttpFault 429 when there are too many */
  async begin(name: string, ingest: () => Promise<BlobIngest>): Promise<UploadSession> {
    if (this.#sessions.size >= this.#max) await this.sweep()
    if (this.#sessions.size >= this.#max) {
      throw new HttpFault(429, 'TOOMANYREQUESTS', 'too many uploads at the same time', {headers: {'retry-after': 60}})
    }

    const session = new UploadSession(name, await ingest())
    this.#sessions.set(session.id, {session, usedAt: this.#clock.now()})
    return session
  }

  async close(): Promise<void> {
    const all = [...this.#sessions.values()]
    this.#sessions.clear()
    await Promise.allSettled(all.map(({session}) => session.end()))
  }

  /** Forgets a session that has ended. */
  delete(session: UploadSession): void {
    this.#sessions.delete(session.id)
  }

  /** Throws expired sessions away from time to time, until the signal aborts. */
  async keepSweeping(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(this.#idleMs / SWEEPS_PER_IDLE_TIME, signal)
      } catch {
        return
      }

      await this.sweep()
    }
  }

  /** @throws HttpFault 404 */
  named(name: string, id: string): UploadSession {
    const entry = this.#sessions.get(id)
    if (!entry || entry.session.name !== name || this.#isExpired(entry)) throw fault.uploadUnknown()
    entry.usedAt = this.#clock.now()
    return entry.session
  }

  /** Throws expired sessions away. */
  async sweep(): Promise<void> {
    const expired = [...this.#sessions.values()].filter((entry) => this.#isExpired(entry))
    for (const {session} of expired) this.#sessions.delete(session.id)
    await Promise.allSettled(expired.map(({session}) => session.end()))
  }

  #isExpired({session, usedAt}: {readonly session: UploadSession; readonly usedAt: number}): boolean {
    return !session.isBusy && this.#clock.now() - usedAt > this.#idleMs
  }
}
