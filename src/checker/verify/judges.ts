import {type JudgeKeys, type JudgeTask, PackfileJudge, type PackfileVerdict} from './packfile-judge.js'

/** Whoever judges packfiles, on this thread or others. */
export interface Judges {
  close(): Promise<void>
  /** The task's bytes are the judge's from now on. */
  judge(task: JudgeTask): Promise<PackfileVerdict>
}

/** Judges on this thread, one packfile after another: for small stores it is over before a thread has started. */
export class OwnThread implements Judges {
  #judge: Promise<PackfileJudge> | undefined
  readonly #keys: JudgeKeys
  #last: Promise<unknown> = Promise.resolve()

  constructor(keys: JudgeKeys) {
    this.#keys = keys
  }

  async close(): Promise<void> {
    await this.#last
  }

  async judge(task: JudgeTask): Promise<PackfileVerdict> {
    this.#judge ??= PackfileJudge.create(this.#keys)
    const judge = await this.#judge
    // One hasher, and pauses within: the next waits.
    const verdict = this.#last.then(async () => judge.judge(task))
    this.#last = verdict.catch(() => {})
    return verdict
  }
}
