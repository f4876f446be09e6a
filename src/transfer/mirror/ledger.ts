import {createReadStream} from 'node:fs'
import {type FileHandle, open, stat} from 'node:fs/promises'
import {createInterface} from 'node:readline'

import type {Clock} from '../../util/clock.js'
import type {CopyOutcome} from '../outcome.js'

import {InvalidArgumentError} from '../../errors.js'
import {meaningOf, type Resource} from '../../kloset/resource.js'
import {lockFile} from '../../util/file-lock.js'
import {fileOperation} from '../../util/fs-error.js'
import {isCount, isObject, isString, type JsonObject} from '../../util/json.js'
import {OwnLines} from '../../util/own-lines.js'
import {MacSet} from '../mac-set.js'

/** Lines are gathered up to this before they are written. */
const BUFFERED_CHARACTERS = 64 * 1024

/** How every line begins. */
const BEGINNING = '{"time":"'

/** How a run ended. */
export interface LedgerRun {
  readonly complete: boolean
  readonly exitCode: number
  /** RFC 3339. */
  readonly time: string
}

export interface MirrorPair {
  readonly from: string
  readonly storeId: string
  readonly to: string
}

/**
 * What a mirror has done, as lines of JSON that are only ever appended: runs with their ends, every object when it was
 * first seen at the source or copied, and every object that has gone from there. A line that was cut off by a crash is
 * skipped: what it told is found out again.
 */
export class MirrorLedger {
  /** The last run that brought everything. */
  lastComplete: LedgerRun | undefined
  /** The last run that came to its end. */
  lastRun: LedgerRun | undefined
  /** Runs that were begun. */
  runs = 0
  readonly seen: Readonly<Record<'packfile' | 'state', MacSet>> = {packfile: new MacSet(), state: new MacSet()}
  /** Lines that cannot be read. */
  skipped = 0
  readonly #clock: Clock
  #handle: FileHandle | undefined
  readonly #own = new OwnLines(BEGINNING)
  #pair: MirrorPair | undefined
  readonly #path: string
  #pending = ''
  #release: (() => Promise<void>) | undefined
  /** Objects whose going is known and not to be told again, by tag. */
  readonly #settled = new Set<string>()

  private constructor(path: string, clock: Clock) {
    this.#clock = clock
    this.#path = path
  }

  /**
   * Opens a ledger, or begins one, and keeps other runs out until it is closed.
   * @throws LockedError when another run has it; InvalidArgumentError when the file is something else; LocalIoError
   */
  static async open(path: string, clock: Clock): Promise<MirrorLedger> {
    const ledger = new MirrorLedger(path, clock)
    ledger.#handle = await fileOperation('open', path, async () => open(path, 'a'))
    try {
      ledger.#release = await lockFile(path, 'mirrors with this ledger')
      await ledger.#load()
      return ledger
    } catch (error) {
      await ledger.close()
      throw error
    }
  }

  /**
   * Begins a run.
   * @throws InvalidArgumentError when the ledger is of another mirror: its memory would be of other objects
   */
  async begin(pair: MirrorPair): Promise<void> {
    const known = this.#pair
    if (known && (known.storeId !== pair.storeId || known.from !== pair.from || known.to !== pair.to)) {
      throw new InvalidArgumentError(`${this.#path}: is the ledger of another mirror: ${known.from} to ${known.to}`, {
        facts: {actual: known.storeId, expected: pair.storeId},
        suggestions: ['Give each pair of stores a ledger of its own.'],
      })
    }

    this.#pair = pair
    this.runs += 1
    await this.#write({event: 'begin', run: this.runs, ...pair})
    await this.#flush()
  }

  async close(): Promise<void> {
    try {
      if (this.#pending !== '') await this.#flush()
    } finally {
      await this.#handle?.close()
      this.#handle = undefined
      await this.#release?.().catch(() => {})
      this.#release = undefined
    }
  }

  /** Ends the run: what was noted is on the disk afterwards. */
  async end({complete, exitCode, ...rest}: JsonObject & Omit<LedgerRun, 'time'>): Promise<void> {
    const time = this.#now()
    await this.#write({event: 'end', ...rest, complete, exitCode})
    await this.#flush()
    await fileOperation('sync', this.#path, async () => this.#handle?.sync())
    this.lastRun = {complete, exitCode, time}
    if (complete) this.lastComplete = this.lastRun
  }

  isSettled(tag: string): boolean {
    return this.#settled.has(tag)
  }

  /** Notes what became of an object; one that was there, and is known to have been, is not noted again. */
  async note({bytes, digest, failure, mac, resource, size, status, tag}: CopyOutcome): Promise<void> {
    const isKnown = mac !== undefined && isKept(resource) && this.seen[resource].has(mac) && !this.#settled.has(tag)
    if (status === 'present' && (isKnown || mac === undefined)) return
    await this.#write({bytes, code: failure?.code, digest, event: 'object', size, status, tag})
    this.#settled.delete(tag)
  }

  /** Notes that an object has gone from the source. `settled`: it is known why, and will not be told again. */
  async noteGone(tag: string, {reason, settled}: {readonly reason: string; readonly settled: boolean}): Promise<void> {
    await this.#write({event: 'gone', reason, settled, tag})
    if (settled) this.#settled.add(tag)
  }

  async #flush(): Promise<void> {
    const text = this.#pending
    this.#pending = ''
    await fileOperation('write', this.#path, async () => this.#handle?.appendFile(text))
  }

  async #load(): Promise<void> {
    const {size} = await fileOperation('read', this.#path, async () => stat(this.#path))
    if (size === 0) return
    const lines = createInterface({crlfDelay: Infinity, input: createReadStream(this.#path)})
    for await (const line of lines) if (line !== '') this.#take(line)
    this.#own.require(this.#path, 'ledger of a mirror')
    // A line that a crash cut off must not swallow the next one.
    if (!(await endsWithNewline(this.#path, size))) this.#pending = '\n'
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }

  #take(line: string): void {
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      this.skipped += 1
      this.#own.unreadable(line)
      return
    }

    if (isObject(value)) this.#takeEvent(value)
  }

  #takeEvent(value: JsonObject): void {
    const {complete, event, exitCode, from, settled, status, storeId, tag, time, to} = value
    if (isString(time) && isString(event)) this.#own.found()
    if (event === 'begin' && isString(from) && isString(to) && isString(storeId)) {
      this.#pair = {from, storeId, to}
      this.runs += 1
    } else if (event === 'end' && isString(time) && isCount(exitCode)) {
      this.lastRun = {complete: complete === true, exitCode, time}
      if (complete === true) this.lastComplete = this.lastRun
    } else if (event === 'object' && isString(tag)) {
      const meaning = meaningOf(tag)
      if (meaning.kind === 'object' && isKept(meaning.resource) && status !== 'vanished') {
        this.seen[meaning.resource].add(meaning.mac)
      }

      this.#settled.delete(tag)
    } else if (event === 'gone' && isString(tag) && settled === true) this.#settled.add(tag)
  }

  async #write(line: JsonObject): Promise<void> {
    this.#pending += `${JSON.stringify({time: this.#now(), ...line})}\n`
    if (this.#pending.length >= BUFFERED_CHARACTERS) await this.#flush()
  }
}

async function endsWithNewline(path: string, size: number): Promise<boolean> {
  return fileOperation('read', path, async () => {
    const file = await open(path)
    try {
      const {buffer} = await file.read(Buffer.alloc(1), 0, 1, size - 1)
      return buffer[0] === 0x0a
    } finally {
      await file.close()
    }
  })
}

function isKept(resource: string): resource is 'packfile' | ('state' & Resource) {
  return resource === 'packfile' || resource === 'state'
}
