import type {Mac} from '../../kloset/mac.js'
import type {ResourceName} from '../../kloset/resource.js'
import type {Digest} from '../../registry/digest.js'

/** The name and version of a plan file. */
export const PLAN_SCHEMA = 'kloset-oci/repair-plan-file/v1'

/** What kind of place copies are looked for in. `self`: the store itself, for what lies in it without its tag. */
export const SOURCE_KINDS = ['cache', 'files', 'fs', 'self', 'store'] as const
export type SourceKind = (typeof SOURCE_KINDS)[number]

/**
 * How a copy was shown to be the object. `mac`: by the store's own key. `digest`: it has the digest that the store's
 * manifest names. `same-store`: neither could be asked, and it comes from a copy of this very store by its CONFIG.
 */
export const PROOFS = ['digest', 'mac', 'same-store'] as const
export type Proof = (typeof PROOFS)[number]

/** Where the bytes of a step come from. */
export interface Origin {
  readonly digest: Digest
  readonly proof: Proof
  readonly size: number
  /** A number of `sources`. */
  readonly source: number
}

/** What a step does. Each is safe to do twice. */
export type RepairAction =
  | {
      /** Deletions that plakar's cache remembers, and no packfile does. */
      readonly coloured: readonly Colour[]
      readonly kind: 'rebuild-state'
      readonly packfiles: readonly Mac[]
      readonly parent?: Mac | undefined
    }
  | {
      readonly digest: Digest
      /** Write it although something is there under the digest: what is there is damaged. */
      readonly force: boolean
      readonly from: Origin
      readonly kind: 'put-blob'
    }
  | {
      readonly digest: Digest
      readonly force: boolean
      readonly kind: 'put-config-blob'
    }
  | {
      readonly force: boolean
      readonly from: Origin
      readonly kind: 'put-object'
    }
  | {readonly kind: 'remove-tag'}
  | {readonly kind: 'retag'; readonly layer: Digest; readonly manifest: Digest}
  | {readonly kind: 'rewrite-manifest'; readonly layer: Digest; readonly size: number}
  | {readonly kind: 'salvage-packfile'; readonly layer: Digest; readonly state: Mac}

/** A deletion: of what, and when, in nanoseconds since the epoch. */
export interface Colour {
  readonly mac: Mac
  readonly type: number
  readonly when: string
}

export type ActionKind = RepairAction['kind']

/** One step of a plan. */
export interface RepairStep {
  readonly action: RepairAction
  /** From 1, in the order in which they are done. */
  readonly id: number
  readonly object: {readonly mac?: Mac | undefined; readonly resource: ResourceName}
  readonly reads: readonly string[]
  /** What is copied to the quarantine before the step changes anything. */
  readonly replaces: readonly string[]
  readonly risk: string
  readonly tag: string
  readonly why: readonly string[]
  readonly writes: readonly string[]
}

/** What no source can bring back. */
export interface Unfixable {
  readonly paths: readonly LostPath[]
  readonly reason: string
  /** Snapshots that stay incomplete; `unknown` when that could not be read. */
  readonly snapshots: 'unknown' | readonly Mac[]
  readonly tag: string
}

export interface LostPath {
  readonly path: string
  readonly snapshot: Mac
}

/** What a tag led to: a manifest's digest, nothing, or something that could not be read. */
export type TagState = 'absent' | 'unreadable' | Digest

/** How far it was looked before a plan was made. */
export interface PlanCoverage {
  /** False when something could not be looked at, and may be when it is tried again. */
  readonly complete: boolean
  /** What was not checked, and why, in plain sentences. */
  readonly notChecked: readonly string[]
  /** Made without all of what a repair goes by: some of the tags, or what states refer to. */
  readonly partial: boolean
}

/** A plan file, decoded and checked. */
export interface RepairPlan extends PlanCoverage {
  /** RFC 3339; new manifests carry this time, so that writing one again writes the same. */
  readonly created: string
  /** What else the plan's reader should know. */
  readonly notes: readonly string[]
  /** What the plan relies on: of every tag concerned, CONFIG among them, what it led to. */
  readonly relies: Readonly<Record<string, TagState>>
  readonly schema: typeof PLAN_SCHEMA
  readonly sources: readonly {readonly kind: SourceKind; readonly location: string}[]
  /** SHA-256 of the store's list of states, where the plan relies on that: a new one may know what it removes. */
  readonly states?: string | undefined
  readonly steps: readonly RepairStep[]
  readonly store: string
  readonly unfixable: readonly Unfixable[]
}
