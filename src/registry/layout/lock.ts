import fs from 'node:fs/promises'
import {hostname} from 'node:os'
import {join} from 'node:path'

import type {LayoutFiles} from './files.js'

import {LockedError, messageOf} from '../../errors.js'
import {interruption, throwIfAborted} from '../../util/abort.js'
import {type Clock, systemClock} from '../../util/clock.js'
import {errnoOf, localIoError} from '../../util/fs-error.js'
import {isObject} from '../../util/json.js'

/** A holder touches its lock every second; one that has not for this long is dead. */
const STALE_MS = 10_000
/** The same, when the holder's process is known to be gone: the shortest that the lock library takes. */
const STALE_WHEN_DEAD_MS = 2000
const REFRESH_MS = 1000
const POLL_MS = 10
/** How long a holder stays away when another process waits: several polls of the other. */
const YIELD_MS = 4 * POLL_MS

export interface LayoutLockOptions {
  readonly clock?: Clock | undefined
  /** How long to wait for another writer. */
  readonly waitMs?: number | undefined
}

/** Who holds a lock, for the error that a waiter gives. */
interface Holder {
  readonly host: string
  readonly pid: number
  readonly since: string
}

/**
 * The lock of a layout's index against other processes: a folder made and kept fresh by proper-lockfile, beside it a
 * file that says who holds it. Readers need none.
 */
export class LayoutLock {
  readonly #clock: Clock
  readonly #files: LayoutFiles
  readonly #holderPath: string
  #lost: string | undefined
  readonly #path: string
  #release: (() => Promise<void>) | undefined
  readonly #waitingPath: string
  readonly #waitMs: number

  constructor(files: LayoutFiles, {clock = systemClock, waitMs = 60_000}: LayoutLockOptions = {}) {
    this.#clock = clock
    this.#files = files
    this.#holderPath = join(files.privateDir, 'lock-holder.json')
    this.#path = join(files.privateDir, 'lock')
    this.#waitMs = waitMs
    this.#waitingPath = join(files.privateDir, 'lock-waiter')
  }

  get isHeld(): boolean {
    return this.#release !== undefined
  }

  /**
   * Takes the lock, waiting for another holder.
   * @throws LockedError when the other one keeps it too long
   */
  async acquire(signal?: AbortSignal): Promise<void> {
    await this.#files.makeDir(this.#files.privateDir)
    const deadline = this.#clock.now() + this.#waitMs
    for (let isFirst = true; ; isFirst = false) {
      throwIfAborted(signal)
      const holder = isFirst ? undefined : await this.#holder()
      if (await this.#try(holder && isDead(holder) ? STALE_WHEN_DEAD_MS : STALE_MS)) break
      if (this.#clock.now() >= deadline) throw this.#timeout(await this.#holder())
      if (!isFirst) await this.#announce()
      await this.#sleep(POLL_MS * (0.5 + Math.random()), signal)
    }

    await fs.rm(this.#waitingPath, {force: true}).catch(() => {})
    const holder: Holder = {host: hostname(), pid: process.pid, since: new Date(this.#clock.now()).toISOString()}
    await fs.writeFile(this.#holderPath, JSON.stringify(holder)).catch(() => {})
  }

  /** @throws LockedError when the lock was lost while we believed to hold it */
  assertHeld(): void {
    if (this.#release && this.#lost === undefined) return
    throw new LockedError(`${this.#files.root}: lost the lock of the layout: ${this.#lost ?? 'it was released'}`, {
      suggestions: ['Run it again. The index was left as it was.'],
    })
  }

  /** Keeps away for the time that a waiting process needs to take its turn. Call after `release`. */
  async giveWay(): Promise<void> {
    await this.#sleep(YIELD_MS)
  }

  /** Whether another process has said since the last call that it waits. */
  async hasWaiter(): Promise<boolean> {
    return fs.rm(this.#waitingPath).then(
      () => true,
      () => false,
    )
  }

  async release(): Promise<void> {
    const release = this.#release
    this.#release = undefined
    // A lock that was lost is another's now, and the library knows it: nothing to do about that here.
    await release?.().catch(() => {})
  }

  /** Tells the holder that somebody waits. */
  async #announce(): Promise<void> {
    await fs.writeFile(this.#waitingPath, '').catch(() => {})
  }

  async #holder(): Promise<Holder | undefined> {
    try {
      const value: unknown = JSON.parse(await fs.readFile(this.#holderPath, 'utf8'))
      if (!isObject(value)) return undefined
      const {host, pid, since} = value
      return typeof host === 'string' && typeof pid === 'number' && typeof since === 'string'
        ? {host, pid, since}
        : undefined
    } catch {
      return undefined
    }
  }

  async #sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(milliseconds, signal)
    } catch (error) {
      throw signal?.aborted ? interruption(signal) : error
    }
  }

  #timeout(holder: Holder | undefined): LockedError {
    const who = holder ? `process ${holder.pid} on ${holder.host} since ${holder.since}` : 'another process'
    return new LockedError(`${this.#files.root}: locked by ${who}`, {
      facts: {path: this.#path, waitedMs: this.#waitMs, ...(holder && {host: holder.host, pid: holder.pid})},
      suggestions: ['Wait for the other writer to end. The lock of a process that has died is taken over by itself.'],
    })
  }

  async #try(staleMs: number): Promise<boolean> {
    // Loaded late: whoever only reads never needs it.
    const {lock} = await import('proper-lockfile')
    try {
      this.#release = await lock(this.#files.root, {
        lockfilePath: this.#path,
        onCompromised: (error) => {
          this.#lost = messageOf(error)
        },
        realpath: false,
        retries: 0,
        stale: staleMs,
        update: REFRESH_MS,
      })
      this.#lost = undefined
      return true
    } catch (error) {
      if (errnoOf(error) === 'ELOCKED') return false
      throw localIoError(error, 'lock', this.#path)
    }
  }
}

/** True only when it is certain: on this very host no such process lives. */
function isDead({host, pid}: Holder): boolean {
  if (host !== hostname()) return false
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return errnoOf(error) === 'ESRCH'
  }
}
