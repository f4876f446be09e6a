import type {Clock} from '../../util/clock.js'
import type {Subject} from '../context.js'
import type {Finding} from '../findings.js'
import type {TagTable} from '../tag-table.js'
import type {Ledger, LedgerRecord} from './ledger.js'
import type {Outcome} from './outcome.js'
import type {LedgerSummary} from './summary.js'
import type {Tier} from './tier.js'

import {finding} from '../failures.js'
import {isDamage, isGap} from '../findings.js'

/** Records written at once: each write waits for the disk. */
const BATCH = 64

/** Under this name stands what is wrong with snapshots and with no object: blobs that they need and nobody has. */
export const SNAPSHOTS = 'snapshots'

/** Writes down what a verification finds, and says what stands from earlier ones. Without a ledger it does nothing. */
export class LedgerKeeper {
  readonly #bad = new Set<string>()
  readonly #clock: Clock
  readonly #ledger: Ledger | undefined
  #pending: LedgerRecord[] = []
  readonly #tier: Tier

  constructor(ledger: Ledger | undefined, {clock, tier}: {readonly clock: Clock; readonly tier: Tier}) {
    this.#clock = clock
    this.#ledger = ledger
    this.#tier = tier
  }

  /** Whether an earlier run found something wrong with snapshots, of which none since has said that it is right. */
  get suspectsSnapshots(): boolean {
    return this.#ledger?.of(SNAPSHOTS)?.bad !== undefined
  }

  /** Notes damage of what is not there to be looked at, or that shows in another place. */
  async bad(tag: string, kind: string): Promise<void> {
    await this.#write({at: this.#now(), kinds: [kind], result: 'bad', tag, tier: this.#tier})
  }

  /** Writes what is left to write. */
  async flush(): Promise<void> {
    const records = this.#pending
    this.#pending = []
    if (records.length > 0) await this.#ledger?.add(...records)
  }

  /** Notes that an object is rightly not there any more. */
  async gone(tag: string): Promise<void> {
    await this.#write({at: this.#now(), result: 'gone', tag, tier: this.#tier})
  }

  /** What the ledger says of objects that it knows as sound, and of which nothing bad is known. */
  *known(): Generator<{readonly isOrphan: boolean; readonly soundAt: number; readonly tag: string}> {
    for (const tag of this.#ledger?.known() ?? []) {
      const {bad, good, isOrphan} = this.#ledger!.of(tag)!
      if (!bad && !this.#bad.has(tag)) yield {isOrphan, soundAt: Math.max(0, ...Object.values(good)), tag}
    }
  }

  /**
   * Notes what a look at an object came to, unless it came to nothing.
   * @param options `isOrphan` when no state knows the packfile
   */
  async note(
    {tag}: Subject,
    {digest, findings, size}: Outcome,
    {isOrphan = false}: {readonly isOrphan?: boolean} = {},
  ): Promise<void> {
    const undecided = findings.some((found) => isGap(found) || found.kind === 'manifest-missing')
    if (undecided || findings.some(({kind}) => kind === 'unknown-version')) return
    const kinds = [...new Set(findings.filter((found) => isDamage(found)).map(({kind}) => kind))]
    const result = kinds.length > 0 ? 'bad' : 'good'
    await this.#write({
      at: this.#now(),
      digest,
      kinds: kinds.length > 0 ? kinds : undefined,
      orphan: isOrphan ? true : undefined,
      result,
      size,
      tag,
      tier: this.#tier,
    })
  }

  /** Notes whether every snapshot has what it needs. */
  async snapshots(kinds: readonly string[]): Promise<void> {
    for (const kind of kinds.slice(0, 1)) await this.bad(SNAPSHOTS, kind)
    if (kinds.length > 0 || !this.suspectsSnapshots) return
    await this.#write({at: this.#now(), result: 'good', tag: SNAPSHOTS, tier: this.#tier})
  }

  /**
   * Damage that stands from earlier runs. Of objects that are rightly gone it is written down that they are.
   * @param isExplained whether an object may rightly be gone
   */
  async *standing(tags: TagTable, isExplained: (tag: string) => boolean): AsyncGenerator<Finding> {
    await this.flush()
    const records = this.#ledger ? [...this.#ledger.standing()] : []
    for (const {at, kinds, tag, tier} of records) {
      // It was said in this run already.
      if (this.#bad.has(tag)) continue
      if (tag !== SNAPSHOTS && !tags.hasTag(tag) && isExplained(tag)) {
        await this.#ledger!.add({at: this.#now(), result: 'gone', tag, tier})
        continue
      }

      const what = kinds?.join(', ') ?? 'damaged'
      const message = `${tag}: was found damaged on ${at} in the ${tier} tier (${what}), and not found sound since`
      yield finding('standing-damage', message, {expected: tier, found: at, snapshots: 'unknown', tag})
    }
  }

  /**
   * What the ledger says of the store's packfiles now.
   * @param gone objects that are not there any more, and nothing says why
   */
  summary(tags: TagTable, gone: number): LedgerSummary | undefined {
    const ledger = this.#ledger
    if (!ledger) return undefined
    let never = 0
    let sound = 0
    let oldest = Number.POSITIVE_INFINITY
    for (let index = 0; index < tags.size; index++) {
      const subject = tags.subject(index)
      if (subject?.resource !== 'packfile') continue
      const at = ledger.soundAt(subject.tag, this.#tier)
      if (at === undefined) never += 1
      else {
        sound += 1
        oldest = Math.min(oldest, at)
      }
    }

    return {
      gone,
      ignoredLines: ledger.ignored,
      never,
      oldest: sound > 0 ? new Date(oldest).toISOString() : undefined,
      sound,
      standing: [...ledger.standing()].length,
    }
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }

  async #write(record: LedgerRecord): Promise<void> {
    if (!this.#ledger) return
    if (record.result === 'bad') this.#bad.add(record.tag)
    this.#pending.push(record)
    // What is bad is written at once: whatever happens next, it is known.
    if (record.result === 'bad' || this.#pending.length >= BATCH) await this.flush()
  }
}
