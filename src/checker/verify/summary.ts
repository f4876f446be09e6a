import type {CheckSummary} from '../summary.js'
import type {Tier} from './tier.js'

/** What a verification came to: the shape of a check's summary, and how far it went. */
export interface VerifySummary extends CheckSummary {
  /** Damaged snapshots, as far as that could be told; undefined when it could not. */
  readonly snapshots?: undefined | {readonly damaged: readonly string[]; readonly total: number}
  readonly tier: Tier
  /** Why it was not a higher tier, or not the one that was asked for. */
  readonly tierReason?: string | undefined
  /** Objects that were looked at in this run, and their bytes. */
  readonly verified: {readonly bytes: number; readonly objects: number}
}
