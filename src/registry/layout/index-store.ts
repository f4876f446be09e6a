import type {LayoutFiles} from './files.js'
import type {LayoutLock} from './lock.js'

import {LockedError, messageOf} from '../../errors.js'
import {interruption, throwIfAborted} from '../../util/abort.js'
import {type Clock, systemClock} from '../../util/clock.js'
import {type LoadedIndex, loadIndex, saveIndex, stampIndex, TIME_STEP_MS} from './index-file.js'
import {IndexDraft, type LayoutIndex} from './index-model.js'

/** How often a busy writer looks whether another one waits. */
const ASK_FOR_WAITERS_MS = 50

/** Under a writer that never rests, a reader takes what it has after so many loads. */
const MAX_LOADS = 5

/** A change of the index. It may run again when the index turns out to have changed underneath. */
export interface IndexChange<T> {
  /** Runs with the lock still held, when the change is on the disk. */
  readonly after?: ((index: LayoutIndex, value: T) => Promise<void>) | undefined
  /** Edits the draft, which earlier changes may have edited too. Throws before its first edit or not at all. */
  readonly edit: (draft: IndexDraft) => Promise<T> | T
  /** Runs before any edit with the lock held, at the same time as that of other changes. */
  readonly prepare?: (() => Promise<void>) | undefined
}

interface Pending {
  edit(draft: IndexDraft): Promise<void>
  /** Ends the change after its write. */
  finish(index: LayoutIndex): Promise<void>
  isSettled(): boolean
  prepare(): Promise<void>
  reject(error: unknown): void
}

/**
 * The index of one layout: read as often as it changes, written once for all changes that wait (group commit).
 *
 * The lock is kept for a moment after a write, so that a run of single changes does not take it each time. That moment
 * is longer than a step of the file system's clock: whatever another process writes later has a later time, and so
 * the file's status tells that it changed.
 */
export class IndexStore {
  #askedForWaiters = 0
  readonly #clock: Clock
  readonly #files: LayoutFiles
  #isOurs = false
  #lingering: NodeJS.Timeout | undefined
  #loaded: LoadedIndex | undefined
  #loading: Promise<LoadedIndex> | undefined
  readonly #lock: LayoutLock
  #queue: Pending[] = []
  #running: Promise<void> | undefined
  #stopWaiting: AbortController | undefined

  constructor(files: LayoutFiles, lock: LayoutLock, clock: Clock = systemClock) {
    this.#clock = clock
    this.#files = files
    this.#lock = lock
  }

  /** Waits for all changes and gives the lock back. */
  async close(): Promise<void> {
    while (this.#running) await this.#running
    clearTimeout(this.#lingering)
    if (!this.#lock.isHeld) return
    await this.#clock.sleep(TIME_STEP_MS)
    await this.#giveUpLock()
  }

  /** The index as it is on the disk now. Look at it at once: it is changed in place by later writes. */
  async read(signal?: AbortSignal): Promise<LayoutIndex> {
    throwIfAborted(signal)
    // While we hold the lock nobody else may write, and what we write ourselves we know.
    if (this.#isOurs && this.#loaded) return this.#loaded.index
    if (this.#loaded?.stamp.isSettled) {
      const stamp = await stampIndex(this.#files)
      throwIfAborted(signal)
      if (stamp.text === this.#loaded.stamp.text) return this.#loaded.index
    }

    for (let attempt = 1; ; attempt++) {
      const {index, stamp} = await this.#load()
      throwIfAborted(signal)
      // We may have joined a load that began before a change which we must see.
      if (attempt === MAX_LOADS || (await stampIndex(this.#files)).text === stamp.text) return index
    }
  }

  /** Makes a change and resolves when it is on the disk. Changes are made in the order of their calls. */
  async update<T>(change: IndexChange<T>, signal?: AbortSignal): Promise<T> {
    throwIfAborted(signal)
    return new Promise<T>((resolve, reject) => {
      let isSettled = false
      let value: T | undefined
      const settle = (end: () => void) => {
        if (isSettled) return
        isSettled = true
        signal?.removeEventListener('abort', onAbort)
        end()
      }

      const pending: Pending = {
        async edit(draft) {
          value = await change.edit(draft)
        },
        async finish(index) {
          await change.after?.(index, value as T)
          settle(() => resolve(value as T))
        },
        isSettled: () => isSettled,
        async prepare() {
          // From here on the change may be written: an abort can no longer promise that it was not.
          signal?.removeEventListener('abort', onAbort)
          await change.prepare?.()
        },
        reject(error) {
          settle(() => reject(error instanceof Error ? error : new Error(messageOf(error))))
        },
      }
      const onAbort = () => {
        pending.reject(interruption(signal!))
        this.#queue = this.#queue.filter((other) => other !== pending)
        if (this.#queue.length === 0) this.#stopWaiting?.abort(interruption(signal!))
      }

      signal?.addEventListener('abort', onAbort, {once: true})
      this.#queue.push(pending)
      this.#running ??= this.#run()
    })
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    await Promise.all(batch.map(async (pending) => pending.prepare().catch((error: unknown) => pending.reject(error))))
    for (;;) {
      const base = await this.#current()
      const draft = new IndexDraft(base.index)
      for (const pending of batch) {
        if (pending.isSettled()) continue
        try {
          await pending.edit(draft)
        } catch (error) {
          pending.reject(error)
        }
      }

      if (!draft.isEmpty) {
        this.#lock.assertHeld()
        const result = await saveIndex(this.#files, draft, async () => {
          this.#lock.assertHeld()
          return (await stampIndex(this.#files)).text === base.stamp.text
        })
        if (!result.saved) {
          // A program that knows nothing of the lock wrote meanwhile: its change stays, ours goes on top.
          this.#isOurs = false
          continue
        }

        draft.commit()
        this.#loaded = {index: base.index, stamp: {...result.stamp, isSettled: true}}
      }

      for (const pending of batch) {
        if (!pending.isSettled()) await pending.finish(base.index).catch((error: unknown) => pending.reject(error))
      }

      return
    }
  }

  /** The index as it is, with the lock held. */
  async #current(): Promise<LoadedIndex> {
    const stamp = await stampIndex(this.#files)
    const loaded = this.#loaded
    if (loaded && stamp.text === loaded.stamp.text && (loaded.stamp.isSettled || this.#isOurs)) {
      this.#isOurs = true
      return loaded
    }

    // A load that another reader began may be of an older file: this one must be later than the lock.
    this.#loaded = await loadIndex(this.#files)
    this.#isOurs = true
    return this.#loaded
  }

  async #fail(batch: readonly Pending[], error: unknown): Promise<void> {
    this.#isOurs = false
    if (error instanceof LockedError) await this.#lock.release()
    for (const pending of batch) pending.reject(error)
  }

  async #giveUpLock(): Promise<void> {
    this.#isOurs = false
    await this.#lock.release()
  }

  /** @returns false when everybody who waited for the lock has gone */
  async #hold(): Promise<boolean> {
    clearTimeout(this.#lingering)
    if (this.#lock.isHeld) return true
    this.#isOurs = false
    this.#stopWaiting = new AbortController()
    const {signal} = this.#stopWaiting
    try {
      await this.#lock.acquire(signal)
      return true
    } catch (error) {
      if (signal.aborted) return false
      throw error
    } finally {
      this.#stopWaiting = undefined
    }
  }

  async #letOthersIn(): Promise<void> {
    if (this.#clock.now() - this.#askedForWaiters < ASK_FOR_WAITERS_MS) return
    this.#askedForWaiters = this.#clock.now()
    if (!(await this.#lock.hasWaiter())) return
    await this.#clock.sleep(TIME_STEP_MS)
    await this.#giveUpLock()
    await this.#lock.giveWay()
  }

  /** Gives the lock back in a moment, unless more changes come. */
  #linger(): void {
    if (!this.#lock.isHeld) return
    this.#lingering = setTimeout(() => {
      this.#running ??= this.#run()
    }, 2 * TIME_STEP_MS)
  }

  async #load(): Promise<LoadedIndex> {
    this.#loading ??= loadIndex(this.#files)
      .then((loaded) => {
        if (!this.#isOurs) this.#loaded = loaded
        return loaded
      })
      .finally(() => {
        this.#loading = undefined
      })
    return this.#loading
  }

  async #run(): Promise<void> {
    try {
      if (this.#queue.length === 0) {
        await this.#giveUpLock()
        return
      }

      while (this.#queue.length > 0) {
        let batch: readonly Pending[] = []
        try {
          if (!(await this.#hold())) continue
          batch = this.#queue.splice(0)
          await this.#commit(batch)
          await this.#letOthersIn()
        } catch (error) {
          await this.#fail(batch.length > 0 ? batch : this.#queue.splice(0), error)
        }
      }
    } finally {
      this.#running = undefined
      if (this.#queue.length > 0) this.#running = this.#run()
      else this.#linger()
    }
  }
}
