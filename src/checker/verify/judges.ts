import {messageOf} from '../../errors.js'
import {BufferShelf} from './buffer-shelf.js'
import {type JudgeKeys, type JudgeTask, keep, PackfileJudge, type PackfileVerdict} from './packfile-judge.js'

/** The thread that judged a packfile has died, and the packfile's bytes with it: nothing is said of the packfile. */
export class ThreadLostError extends Error {
  constructor(cause: unknown) {
    super(`a thread that judged a packfile died: ${messageOf(cause)}`, {cause})
  }
}

/** Whoever judges packfiles, on this thread or others. */
export interface Judges {
  /** Memory for a packfile that is to be judged. */
  allocate(size: number): Buffer
  close(): Promise<void>
  /** The task's bytes are the judge's from now on. @throws ThreadLostError | InterruptedError when it is closed first */
  judge(task: JudgeTask): Promise<PackfileVerdict>
  /** Packfiles that are judged at the same time. */
  readonly threads: number
  /** Packfiles that wait for their turn. */
  readonly waiting: number
}

/** Judges on this thread, one packfile after another: for small stores it is over before a thread has started. */
export class OwnThread implements Judges {
  readonly threads = 1
  #judge: Promise<PackfileJudge> | undefined
  readonly #keys: JudgeKeys
  #last: Promise<unknown> = Promise.resolve()
  readonly #shelf: BufferShelf
  #waiting = 0

  constructor(keys: JudgeKeys, shelf = new BufferShelf()) {
    this.#keys = keys
    this.#shelf = shelf
  }

  get waiting(): number {
    return this.#waiting
  }

  allocate(size: number): Buffer {
    return this.#shelf.take(size)
  }

  async close(): Promise<void> {
    await this.#last
  }

  async judge(task: JudgeTask): Promise<PackfileVerdict> {
    this.#judge ??= PackfileJudge.create(this.#keys)
    const judge = await this.#judge
    this.#waiting += 1
    // One hasher, and pauses within: the next waits.
    const verdict = this.#last
      .then(async () => {
        this.#waiting -= 1
        return keep(await judge.judge(task))
      })
      .finally(() => this.#shelf.give(task.bytes.buffer as ArrayBuffer, task.bytes.length))
    this.#last = verdict.catch(() => {})
    return verdict
  }
}
