import type {Secret} from '../../kloset/codec/secret.js'
import type {CallOptions} from '../../registry/interfaces.js'
import type {Clock} from '../../util/clock.js'
import type {Ledger} from './ledger.js'
import type {Selection} from './selection.js'
import type {Tier} from './tier.js'

export type VerifyPhase = 'locks' | 'packfiles' | 'snapshots' | 'states'

export interface VerifyProgress {
  /** Bytes downloaded. */
  readonly bytes: number
  /** Objects looked at in this phase. */
  readonly done: number
  readonly phase: VerifyPhase
  readonly total: number
}

export interface VerifyOptions extends CallOptions, Selection {
  /** What the ledger knows and nobody is known to have deleted is meant to be gone: it is not told again. */
  readonly acceptGone?: boolean | undefined
  readonly clock?: Clock | undefined
  /** Requests at the same time. Default 16. */
  readonly concurrency?: number | undefined
  /** Remembers what was looked at: what it says was found sound is not looked at again. */
  readonly ledger?: Ledger | undefined
  /** Go through the snapshots for what a damage costs. Default true; without it that is `unknown`. */
  readonly map?: boolean | undefined
  /** How long that holds, in milliseconds; default for ever. */
  readonly maxAge?: number | undefined
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
  /** Of an encrypted store: without it only the digest tier is possible. */
  readonly secret?: Secret | undefined
  /** Default: the highest that the key allows. */
  readonly tier?: Tier | undefined
}
