import type {Clock} from '../../src/util/clock.js'

/** A clock that nobody waits for: sleeping moves it on at once and is written down. */
export class FakeClock implements Clock {
  /** Every pause, in milliseconds. */
  readonly sleeps: number[] = []
  #now: number

  constructor(now = Date.parse('2026-01-02T03:04:05Z')) {
    this.#now = now
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds
  }

  now(): number {
    return this.#now
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.sleeps.push(milliseconds)
    this.#now += milliseconds
  }
}
