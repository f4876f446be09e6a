import type {Readable} from 'node:stream'

import type {Digest} from '../../registry/digest.js'
import type {CallOptions} from '../../registry/interfaces.js'
import type {SourceKind} from '../plan/types.js'
import type {ObjectName} from '../proof.js'

/** An object that is looked for. */
export interface Wanted extends ObjectName {
  /** The digest of its bytes, when the store's manifest or another source names it. */
  readonly digest?: Digest | undefined
}

/** Something in a source that may be the object: it is judged before it is believed. */
export interface Copy {
  /** What the source calls the bytes; whether they have it is seen when they are read. */
  readonly digest?: Digest | undefined
  /** The manifest that the source keeps it under. */
  readonly manifest?: Digest | undefined
  /** How a person would find it there. */
  readonly name: string
  open(options?: CallOptions): Promise<Readable>
  readonly size: number
}

/** A place where copies are looked for. What cannot be read in it is not there. */
export interface Source {
  close(): Promise<void>
  /** Copies of an object, the likeliest first. */
  copies(wanted: Wanted, options?: CallOptions): AsyncIterable<Copy>
  readonly kind: SourceKind
  readonly location: string
  /** States that the source has, for what none of the store's own states knows. */
  states(options?: CallOptions): AsyncIterable<ObjectName>
}
