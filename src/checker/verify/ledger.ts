import type {Digest} from '../../registry/digest.js'

import {InvalidArgumentError} from '../../errors.js'
import {isDigest} from '../../registry/digest.js'
import {isCount, isObject, isString, isStringArray} from '../../util/json.js'
import {OwnLines} from '../../util/own-lines.js'
import {covers, isTier, type Tier, TIERS} from './tier.js'

/** What stands in a ledger's first line. */
export const LEDGER_FORMAT = 'kloset-oci/ledger/v1'

/** How the first line begins. */
const BEGINNING = `{"format":"${LEDGER_FORMAT}"`

/** One look at one object, as it stands in a line of a ledger. */
export interface LedgerRecord {
  /** RFC 3339. */
  readonly at: string
  /** Of the object's bytes; none when its manifest could not be read. */
  readonly digest?: Digest | undefined
  /** Kinds of finding, when it was bad. */
  readonly kinds?: readonly string[] | undefined
  /** Of a packfile: no state knew it then. */
  readonly orphan?: boolean | undefined
  /** `gone`: it is rightly not there any more. */
  readonly result: 'bad' | 'gone' | 'good'
  readonly size?: number | undefined
  readonly tag: string
  readonly tier: Tier
}

/** What a ledger says of one object. */
export interface ObjectRecord {
  /** The damage that stands: found, and not found sound since. */
  bad: LedgerRecord | undefined
  /** When it was last found sound, in milliseconds since the epoch, by tier. */
  readonly good: Partial<Record<Tier, number>>
  /** Of a packfile: when it was looked at last, no state knew it. */
  isOrphan: boolean
}

/** Numbers of a ledger, by tier: what was found sound in a deeper one counts as well. Times in milliseconds. */
export interface LedgerTotals {
  readonly newest: number
  readonly objects: Partial<Record<Tier, number>>
  readonly oldest: Partial<Record<Tier, number>>
  readonly standing: number
}

/** Where a ledger's lines are kept. */
export interface LedgerFile {
  /** Adds lines whole: when it returns they are there. @throws LocalIoError */
  append(lines: readonly string[]): Promise<void>
  close(): Promise<void>
  /** Every line, without its end; for one that is too long for a record comes something that is none. */
  lines(): AsyncIterable<string>
  /** How a person knows it: its path. */
  readonly name: string
}

/**
 * The memory of many verifications: what was looked at, when, in which tier, and what came of it. Lines are added and
 * never changed. A line that is not whole (the disk was full, the power went) is passed over and counted.
 */
export class Ledger {
  /** Lines that were passed over. */
  ignored = 0
  readonly #file: LedgerFile
  #newest = 0
  readonly #objects = new Map<string, ObjectRecord>()
  readonly #own = new OwnLines(BEGINNING)
  #store: string | undefined

  private constructor(file: LedgerFile) {
    this.#file = file
  }

  /** Closes the file when it fails. @throws InvalidArgumentError when it is of another store or not a ledger, LocalIoError when it cannot be read */
  static async open(file: LedgerFile): Promise<Ledger> {
    const ledger = new Ledger(file)
    try {
      for await (const line of file.lines()) ledger.#read(line)
      if (ledger.ignored > 0) ledger.#own.require(file.name, 'ledger of verifications')
      return ledger
    } catch (error) {
      await file.close()
      throw error
    }
  }

  get size(): number {
    return this.#objects.size
  }

  /** The identifier of the store that it is about; none for a new one. */
  get store(): string | undefined {
    return this.#store
  }

  /** Writes records down, then believes them. @throws LocalIoError when they could not be written */
  async add(...records: readonly LedgerRecord[]): Promise<void> {
    await this.#file.append(records.map((record) => JSON.stringify(record)))
    for (const record of records) this.#take(record)
  }

  /**
   * Says which store it is about, and proves that it can be written.
   * @throws InvalidArgumentError when it is about another one
   */
  async begin(store: string | undefined): Promise<void> {
    if (this.#store !== undefined) {
      if (store === undefined || store === this.#store) return
      throw new InvalidArgumentError(`the ledger is of the store ${this.#store}, not of ${store}`, {
        suggestions: ['Give each store a ledger of its own.'],
      })
    }

    await this.#file.append([JSON.stringify({format: LEDGER_FORMAT, ...(store !== undefined && {store})})])
    this.#store = store
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  /** The tag of every object that it knows of. */
  known(): Iterable<string> {
    return this.#objects.keys()
  }

  of(tag: string): ObjectRecord | undefined {
    return this.#objects.get(tag)
  }

  /** When an object was last found sound in a tier or a deeper one. */
  soundAt(tag: string, tier: Tier): number | undefined {
    const good = this.#objects.get(tag)?.good
    if (!good) return undefined
    const times = TIERS.filter((one) => covers(one, tier)).flatMap((one) => good[one] ?? [])
    return times.length === 0 ? undefined : Math.max(...times)
  }

  /** Damage that was found and stands. */
  *standing(): Generator<LedgerRecord> {
    for (const {bad} of this.#objects.values()) if (bad) yield bad
  }

  /** What it says of all objects together. */
  totals(): LedgerTotals {
    const objects: Partial<Record<Tier, number>> = {}
    const oldest: Partial<Record<Tier, number>> = {}
    for (const tag of this.#objects.keys()) {
      for (const tier of TIERS) {
        const at = this.soundAt(tag, tier)
        if (at === undefined) continue
        objects[tier] = (objects[tier] ?? 0) + 1
        oldest[tier] = Math.min(oldest[tier] ?? at, at)
      }
    }

    return {newest: this.#newest, objects, oldest, standing: [...this.standing()].length}
  }

  #read(line: string): void {
    if (line.trim() === '') return
    let json: unknown
    try {
      json = JSON.parse(line)
    } catch {
      this.ignored += 1
      this.#own.unreadable(line)
      return
    }

    if (isObject(json) && json['format'] !== undefined) {
      if (json['format'] !== LEDGER_FORMAT) {
        throw new InvalidArgumentError(`not a ledger of this version: ${String(json['format']).slice(0, 80)}`)
      }

      this.#own.found()
      const {store} = json
      if (!isString(store)) return
      if (this.#store !== undefined && this.#store !== store) {
        throw new InvalidArgumentError(`the ledger is of two stores, ${this.#store} and ${store.slice(0, 80)}`)
      }

      this.#store = store
      return
    }

    const record = recordOf(json)
    if (record) {
      this.#own.found()
      this.#take(record)
    } else this.ignored += 1
  }

  #take(record: LedgerRecord): void {
    const {at, orphan, result, tag, tier} = record
    this.#newest = Math.max(this.#newest, Date.parse(at))
    let known = this.#objects.get(tag)
    if (!known) {
      known = {bad: undefined, good: {}, isOrphan: false}
      this.#objects.set(tag, known)
    }

    if (result !== 'gone') known.isOrphan = orphan === true

    switch (result) {
      case 'bad': {
        // Found in a deeper tier it takes one as deep to clear it.
        known.bad = known.bad && covers(known.bad.tier, tier) ? {...record, tier: known.bad.tier} : record
        break
      }

      case 'gone': {
        this.#objects.delete(tag)
        break
      }

      default: {
        // The last look counts, not the latest time: a clock may have been ahead.
        known.good[tier] = Date.parse(at)
        if (known.bad && covers(tier, known.bad.tier)) known.bad = undefined
      }
    }
  }
}

function recordOf(json: unknown): LedgerRecord | undefined {
  if (!isObject(json)) return undefined
  const {at, digest, kinds, orphan, result, size, tag, tier} = json
  if (!isString(at) || Number.isNaN(Date.parse(at)) || !isString(tag) || !isString(tier) || !isTier(tier)) {
    return undefined
  }

  if (result !== 'bad' && result !== 'gone' && result !== 'good') return undefined
  return {
    at,
    digest: isString(digest) && isDigest(digest) ? digest : undefined,
    kinds: isStringArray(kinds) ? kinds : undefined,
    orphan: orphan === true ? true : undefined,
    result,
    size: isCount(size) ? size : undefined,
    tag,
    tier,
  }
}
