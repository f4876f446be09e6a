import type {Mac} from '../kloset/mac.js'
import type {ResourceName} from '../kloset/resource.js'
import type {Digest} from '../registry/digest.js'

import {type ErrorJson, errorToJson, KlosetOciError} from '../errors.js'

/** One object of the source, as a copy goes over them. */
export interface CopySubject {
  readonly mac: Mac | undefined
  readonly resource: ResourceName
  readonly tag: string
}

export const COPY_STATUSES = ['copied', 'failed', 'healed', 'held-back', 'present', 'vanished', 'would-copy'] as const

/**
 * What became of an object: `copied`; `healed` when its tag was there and its content was not; `present` when there was
 * nothing to do; `would-copy` in a dry run; `failed`; `held-back` for a state whose packfiles may not all be there;
 * `vanished` when it was removed from the source meanwhile.
 */
export type CopyStatus = (typeof COPY_STATUSES)[number]

export interface CopyOutcome {
  /** Bytes of the object that were sent, or would be. */
  readonly bytes: number
  readonly digest?: Digest | undefined
  readonly failure?: CopyFailure | undefined
  readonly mac?: Mac | undefined
  /** True when the registry itself took the blob over from the other repository. */
  readonly mounted?: boolean | undefined
  /** What is to be said of an object that was copied all the same: why its manifest is another one, for instance. */
  readonly note?: string | undefined
  readonly resource: ResourceName
  readonly size?: number | undefined
  readonly status: CopyStatus
  readonly tag: string
}

export type CopyFailure = Pick<ErrorJson, 'code' | 'message' | 'suggestions'> & {
  /** `damage`: the object itself is bad, and trying again will not help. `passing`: it may work next time. */
  readonly kind: 'damage' | 'passing'
  readonly side: 'source' | 'target'
}

/** Codes that tell something about the object, not about the way to it. */
const ABOUT_OBJECT: ReadonlySet<string> = new Set([
  'ALREADY_EXISTS',
  'DAMAGE',
  'INTEGRITY',
  'NOT_FOUND',
  'PROTOCOL',
  'STORE_FORMAT',
  'VERSION',
])

/** Of these the target says nothing about the object: an upload that it has lost, an answer that makes no sense. */
const OF_TARGET: ReadonlySet<string> = new Set(['NOT_FOUND', 'PROTOCOL'])

/** Codes that end the copy: no other object would fare better. */
const FATAL: ReadonlySet<string> = new Set([
  'FORBIDDEN',
  'INTERRUPTED',
  'INVALID_ARGUMENT',
  'IO',
  'LOCKED',
  'UNAUTHORIZED',
])

/** Failures one after another, with no success between them, after which a registry is taken to be down. */
const MAX_FAILURES_IN_A_ROW = 16

/** Tells a bad object, which is noted, from a copy that cannot go on. */
export class CopyFailures {
  #inARow = 0

  /** @throws the error itself when it ends the copy */
  failed(error: unknown, side: CopyFailure['side']): CopyFailure {
    if (!(error instanceof KlosetOciError) || FATAL.has(error.code)) throw error
    const isDamage = ABOUT_OBJECT.has(error.code) && !(side === 'target' && OF_TARGET.has(error.code))
    const kind = isDamage ? 'damage' : 'passing'
    this.#inARow = kind === 'damage' ? 0 : this.#inARow + 1
    if (this.#inARow >= MAX_FAILURES_IN_A_ROW) throw error
    const {code, message, suggestions} = errorToJson(error)
    return {code, kind, message, side, suggestions}
  }

  succeeded(): void {
    this.#inARow = 0
  }
}
