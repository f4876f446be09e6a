import {availableParallelism} from 'node:os'
import {Worker} from 'node:worker_threads'

import type {WorkerAnswer, WorkerTask} from './judge-worker.js'
import type {Judges} from './judges.js'
import type {JudgeKeys, JudgeTask, PackfileVerdict} from './packfile-judge.js'

import {BufferShelf} from './buffer-shelf.js'
import {OwnThread} from './judges.js'

/** Bytes judged on this thread before others are started: a small store is done by then. */
const OWN_BYTES = 8 * 1024 * 1024

/** More threads than this have nothing to do: reading is slower. */
const MAX_THREADS = 8

interface Waiting {
  readonly reject: (error: Error) => void
  readonly resolve: (verdict: PackfileVerdict) => void
  readonly task: JudgeTask
}

interface Thread {
  busy: undefined | Waiting
  readonly worker: Worker
}

/**
 * Judges on threads of their own, as many as there are processors. The bytes go there without being copied. Where no
 * thread can be started, and for small stores, this thread does it.
 */
export class JudgePool implements Judges {
  readonly #keys: JudgeKeys
  readonly #own: OwnThread
  #ownBytes = 0
  readonly #queue: Waiting[] = []
  readonly #shelf = new BufferShelf()
  readonly #threads: Thread[] = []
  #works = true

  constructor(keys: JudgeKeys) {
    this.#keys = keys
    this.#own = new OwnThread(keys, this.#shelf)
  }

  allocate(size: number): Buffer {
    return this.#shelf.take(size)
  }

  async close(): Promise<void> {
    this.#works = false
    await Promise.all(this.#threads.splice(0).map(async ({worker}) => worker.terminate()))
    await this.#own.close()
    this.#shelf.clear()
  }

  async judge(task: JudgeTask): Promise<PackfileVerdict> {
    this.#ownBytes += task.bytes.length
    if (!this.#works || this.#ownBytes <= OWN_BYTES) return this.#own.judge(task)
    return new Promise((resolve, reject) => {
      this.#queue.push({reject, resolve, task})
      this.#next()
    })
  }

  #answer(thread: Thread, {buffer, error, verdict}: WorkerAnswer): void {
    this.#shelf.give(buffer)
    const {busy} = thread
    thread.busy = undefined
    if (verdict) busy?.resolve(verdict)
    else busy?.reject(new Error(error ?? 'a thread gave no answer'))
    this.#next()
  }

  /** A thread that dies takes its packfile with it: the caller reads that again, perhaps. */
  #died(thread: Thread, error: Error): void {
    const at = this.#threads.indexOf(thread)
    if (at !== -1) this.#threads.splice(at, 1)
    thread.busy?.reject(error)
    thread.busy = undefined
    this.#next()
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const thread = this.#threads.find(({busy}) => !busy) ?? this.#start()
      if (!thread) return
      const waiting = this.#queue.shift()!
      const {bytes, ...task} = waiting.task
      thread.busy = waiting
      const buffer = bytes.buffer as ArrayBuffer
      const message: WorkerTask = {buffer, length: bytes.length, task}
      thread.worker.postMessage(message, [buffer])
    }
  }

  #start(): Thread | undefined {
    if (this.#threads.length >= Math.min(availableParallelism(), MAX_THREADS)) return undefined
    const {compression, encryption, hashing, key, secret} = this.#keys
    const workerData: JudgeKeys = {
      compression,
      encryption,
      hashing,
      key: Uint8Array.from(key),
      secret: secret && Uint8Array.from(secret),
    }
    const worker = new Worker(new URL('judge-worker.js', import.meta.url), {stderr: false, workerData})
    const thread: Thread = {busy: undefined, worker}
    worker.on('message', (answer: WorkerAnswer) => this.#answer(thread, answer))
    worker.on('error', (error) => this.#died(thread, error))
    this.#threads.push(thread)
    return thread
  }
}
