import type {CheckSummary} from '../summary.js'
import type {Tier} from './tier.js'

/** What a ledger says of a store's packfiles in a tier. */
export interface LedgerSummary {
  /** Objects that were found sound earlier, are not there any more, and of which nothing says that they were deleted. */
  readonly gone: number
  /** Lines that could not be read: they were cut short when they were written. */
  readonly ignoredLines: number
  /** Packfiles of the store that were never found sound in this tier. */
  readonly never: number
  /** When the packfile that waits longest was last found sound: RFC 3339. */
  readonly oldest?: string | undefined
  readonly sound: number
  /** Damage that was found earlier and stands. */
  readonly standing: number
}

/** What a verification came to: the shape of a check's summary, and how far it went. */
export interface VerifySummary extends CheckSummary {
  /** What the ledger says of the whole store, when there is one. */
  readonly ledger?: LedgerSummary | undefined
  /** Packfiles that were to be looked at, and were not since the budget ended. */
  readonly left: number
  /** The store's identifier, when its configuration could be read. */
  readonly repositoryId?: string | undefined
  /** Packfiles that were not looked at since the ledger says that they were found sound, or nobody asked for them. */
  readonly skipped: {readonly sound: number; readonly unasked: number}
  /**
   * Damaged snapshots, as far as the tier tells, and how many there are; undefined when that could not be told: without
   * the store's key, or while no snapshot can be found.
   */
  readonly snapshots?: undefined | {readonly damaged: readonly string[]; readonly total: number}
  readonly tier: Tier
  /** Why it was not a higher tier, or not the one that was asked for. */
  readonly tierReason?: string | undefined
  /** Objects that were looked at in this run, and their bytes. */
  readonly verified: {readonly bytes: number; readonly objects: number}
}
