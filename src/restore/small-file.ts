import {closeSync, fchmodSync, fchownSync, ftruncateSync, futimesSync, openSync, unlinkSync} from 'node:fs'
import {performance} from 'node:perf_hooks'

import type {Entry} from '../kloset/snapshot/index.js'

import {yieldTurn} from '../util/abort.js'
import {writeFullyNow} from '../util/write-fully.js'
import {dataRuns} from './file-writer.js'
import {type MetadataOptions, modeOf, timeOf} from './metadata.js'

/** Larger files are written as they come. */
const MAX_SMALL_BYTES = 256 * 1024

/** So long others wait for their turn. */
const MAX_BUSY_MS = 5

/** Where files take longer on the average the file system is a slow one: then some are written without waiting. */
const SLOW_MS = 2
const FILES_BESIDE = 200

/** How much the last one counts in the average: the system may have halted us for once. */
const WEIGHT = 0.1

export interface SmallFilesOptions {
  /** What a small file has at the most. Default 256 KiB. */
  readonly maxBytes?: number | undefined
  /** Milliseconds, of a clock that is never set. */
  readonly now?: (() => number) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Writes small files at once, with calls that wait: on a local disk each takes some microseconds, and a turn of a thread
 * many times that. Where they take long, it says so.
 */
export class SmallFiles {
  #average = 0
  #busy = 0
  #left = 0
  readonly #options: SmallFilesOptions

  constructor(options: SmallFilesOptions = {}) {
    this.#options = options
  }

  /** Runs what takes some calls of the file system. @throws what it throws, InterruptedError */
  async run<T>(work: () => T): Promise<T> {
    const {now = () => performance.now(), signal} = this.#options
    if (this.#busy > MAX_BUSY_MS) {
      this.#busy = 0
      await yieldTurn(signal)
    }

    const start = now()
    try {
      return work()
    } finally {
      const took = now() - start
      this.#busy += took
      this.#average += WEIGHT * (took - this.#average)
      if (this.#average > SLOW_MS) {
        this.#average = 0
        this.#left = FILES_BESIDE
      }
    }
  }

  /** Whether a file of some bytes is to be written here. Asked once for each. */
  takes(bytes: number): boolean {
    const {maxBytes = MAX_SMALL_BYTES} = this.#options
    if (bytes > maxBytes) return false
    if (this.#left === 0) return true
    this.#left -= 1
    return false
  }
}

/** Writes a new file whole, with its owner, permissions and time; nothing is left of it when that fails. */
export function writeSmallFile(path: string, content: Buffer, {info}: Entry, metadata: MetadataOptions): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    let written = 0
    for (const {end, start} of dataRuns(content)) {
      writeFullyNow(file, content.subarray(start, end), start)
      written = end
    }

    if (written < content.length) ftruncateSync(file, content.length)
    // The owner first, as for larger files.
    if (metadata.owner) fchownSync(file, info.uid, info.gid)
    fchmodSync(file, modeOf(info.mode, metadata))
    const time = timeOf(info.modTime)
    futimesSync(file, time, time)
  } catch (error) {
    unlinkSync(path)
    throw error
  } finally {
    closeSync(file)
  }
}
