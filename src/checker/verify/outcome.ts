import type {Codec} from '../../kloset/codec/codec.js'
import type {Mac} from '../../kloset/mac.js'
import type {Digest} from '../../registry/digest.js'
import type {ByteBudget} from '../../util/byte-budget.js'
import type {Finding} from '../findings.js'
import type {StateNotes} from '../state-book.js'
import type {Judges} from './judges.js'
import type {PackfileVerdict} from './packfile-judge.js'
import type {Tier} from './tier.js'

/** What looking at one object came to. */
export interface Outcome {
  /** Config blobs are checked once for all objects. */
  readonly config?: undefined | {readonly digest: Digest; readonly size: number}
  readonly digest?: Digest | undefined
  readonly findings: readonly Finding[]
  /** Its removal was cut off, and nothing of it is left but the tag: it counts as removed. */
  readonly isEmptied?: boolean
  /** Of a packfile that was looked into: a `ReferenceList` of blobs that cannot be read. */
  readonly lost?: Uint8Array | undefined
  /** Of a state that was read and proven. */
  readonly notes?: StateNotes | undefined
  readonly parent?: Mac | undefined
  readonly size: number
  readonly verdict?: PackfileVerdict | undefined
}

export interface VerifierOptions {
  /** Memory for packfiles. */
  readonly budget: Pick<ByteBudget, 'spend'>
  /** None when the store's keys are not known, or not wanted. */
  readonly codec: Codec | undefined
  /** None when the store's keys are not known. */
  readonly judges: Judges | undefined
  /** Records of where states place the blobs of a packfile. */
  readonly placed: (packfile: Mac) => Promise<Uint8Array | undefined>
  readonly tier: Tier
}
