import {availableParallelism} from 'node:os'
import {Worker} from 'node:worker_threads'

import type {WorkerAnswer, WorkerTask} from './judge-worker.js'
import type {JudgeKeys, JudgeTask, PackfileVerdict} from './packfile-judge.js'

import {InterruptedError} from '../../errors.js'
import {BufferShelf} from './buffer-shelf.js'
import {type Judges, OwnThread, ThreadLostError} from './judges.js'

/** Bytes judged on this thread before others are started: a small store is done by then. */
const OWN_BYTES = 8 * 1024 * 1024

/** More threads than this have nothing to do: reading is slower. */
const MAX_THREADS = 8

/** Nearly all that a thread makes is gone at once: room for more of it only takes memory. */
const YOUNG_MIB = 12

interface Waiting {
  /** Of its packfile: once they are gone to a thread the task does not say. */
  readonly bytes: number
  readonly reject: (error: Error) => void
  readonly resolve: (verdict: PackfileVerdict) => void
  readonly task: JudgeTask
}

/** What of a `Worker` is used. */
export type JudgeWorker = Pick<Worker, 'on' | 'postMessage' | 'terminate'>

interface Thread {
  busy: undefined | Waiting
  readonly worker: JudgeWorker
}

export interface JudgePoolOptions {
  /** Bytes judged on this thread first. Default 8 MiB. */
  readonly ownBytes?: number | undefined
  /** Starts a thread; it answers as `judge-worker` does. */
  readonly start?: ((keys: JudgeKeys) => JudgeWorker) | undefined
  /** Default as many as there are processors, 8 at the most. */
  readonly threads?: number | undefined
}

/**
 * Judges on threads of their own, as many as there are processors. The bytes go there without being copied. Where no
 * thread can be started, for small stores, and when every thread has died, this thread does it.
 */
export class JudgePool implements Judges {
  #isClosed = false
  readonly #keys: JudgeKeys
  /** Threads there may still be: one that died is not replaced. */
  #limit: number
  readonly #own: OwnThread
  #ownBytes: number
  readonly #queue: Waiting[] = []
  readonly #shelf = new BufferShelf()
  readonly #start: (keys: JudgeKeys) => JudgeWorker
  readonly #threads: Thread[] = []

  constructor(keys: JudgeKeys, options: JudgePoolOptions = {}) {
    const {ownBytes = OWN_BYTES, start = startWorker, threads = availableParallelism()} = options
    this.#keys = keys
    this.#limit = Math.min(threads, MAX_THREADS)
    this.#own = new OwnThread(keys, this.#shelf)
    this.#ownBytes = ownBytes
    this.#start = start
  }

  get threads(): number {
    return Math.max(1, this.#limit)
  }

  get waiting(): number {
    return this.#queue.length + this.#own.waiting
  }

  allocate(size: number): Buffer {
    return this.#shelf.take(size)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const threads = this.#threads.splice(0)
    const given = [...threads.map(({busy}) => busy), ...this.#queue.splice(0)]
    for (const waiting of given) waiting?.reject(new InterruptedError())
    await Promise.all(threads.map(async ({worker}) => worker.terminate()))
    await this.#own.close()
    this.#shelf.clear()
  }

  async judge(task: JudgeTask): Promise<PackfileVerdict> {
    if (this.#isClosed) throw new InterruptedError()
    this.#ownBytes -= task.bytes.length
    if (this.#limit === 0 || this.#ownBytes >= 0) return this.#own.judge(task)
    return new Promise((resolve, reject) => {
      this.#queue.push({bytes: task.bytes.length, reject, resolve, task})
      this.#next()
    })
  }

  #add(): Thread | undefined {
    if (this.#threads.length >= this.#limit) return undefined
    let worker: JudgeWorker
    try {
      worker = this.#start(this.#keys)
    } catch {
      this.#limit = this.#threads.length
      return undefined
    }

    const thread: Thread = {busy: undefined, worker}
    worker.on('message', (answer: WorkerAnswer) => this.#answer(thread, answer))
    worker.on('error', (error) => this.#died(thread, error))
    worker.on('messageerror', (error) => this.#died(thread, error))
    worker.on('exit', (status) => this.#died(thread, new Error(`a thread ended with ${status}`)))
    this.#threads.push(thread)
    return thread
  }

  #answer(thread: Thread, {buffer, error, verdict}: WorkerAnswer): void {
    if (this.#isClosed) return
    const {busy} = thread
    this.#shelf.give(buffer, busy?.bytes ?? 0)
    thread.busy = undefined
    if (verdict) busy?.resolve(verdict)
    else busy?.reject(new Error(error ?? 'a thread gave no answer'))
    this.#next()
  }

  /** A thread that dies takes the bytes of its packfile with it: the caller has them again. */
  #died(thread: Thread, cause: unknown): void {
    const at = this.#threads.indexOf(thread)
    if (at === -1) return
    this.#threads.splice(at, 1)
    this.#limit -= 1
    thread.busy?.reject(new ThreadLostError(cause))
    thread.busy = undefined
    this.#next()
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const thread = this.#threads.find(({busy}) => !busy) ?? this.#add()
      if (!thread && this.#threads.length > 0) return
      const waiting = this.#queue.shift()!
      if (thread) give(thread, waiting)
      else this.#own.judge(waiting.task).then(waiting.resolve, waiting.reject)
    }
  }
}

function give(thread: Thread, waiting: Waiting): void {
  const {bytes, ...task} = waiting.task
  thread.busy = waiting
  const buffer = bytes.buffer as ArrayBuffer
  const message: WorkerTask = {buffer, length: bytes.length, task}
  thread.worker.postMessage(message, [buffer])
}

function startWorker({compression, encryption, hashing, key, secret}: JudgeKeys): Worker {
  const workerData: JudgeKeys = {
    compression,
    encryption,
    hashing,
    key: Uint8Array.from(key),
    secret: secret && Uint8Array.from(secret),
  }
  const resourceLimits = {maxYoungGenerationSizeMb: YOUNG_MIB}
  return new Worker(new URL('judge-worker.js', import.meta.url), {resourceLimits, stderr: false, workerData})
}
