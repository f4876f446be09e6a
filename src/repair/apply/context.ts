import type {Repository} from '../../registry/interfaces.js'
import type {Journal} from '../journal.js'
import type {SealedPlan} from '../plan/plan-file.js'
import type {RepairStep, TagState} from '../plan/types.js'
import type {Quarantine} from '../quarantine.js'
import type {Source} from '../sources/source.js'
import type {StoreKeys} from '../store-keys.js'

/** What the steps of a plan work with. */
export interface ApplyContext {
  readonly journal: Journal
  /** None when nothing that needs them can be read, or the store is encrypted and locked. */
  readonly keys: StoreKeys | undefined
  readonly quarantine: Quarantine
  readonly repository: Repository
  readonly sealed: SealedPlan
  readonly signal?: AbortSignal | undefined
  /** In the order of the plan's. */
  readonly sources: readonly (Source | undefined)[]
}

/** Does one kind of step. */
export type StepWork = (step: RepairStep, context: ApplyContext) => Promise<TagState>

/** The name of a record of the quarantine. */
export function recordName({id}: SealedPlan, step: number, part: string): string {
  return `${id.slice(0, 24)}-${step}-${part}`
}

/** Milliseconds since the epoch that the plan's manifests carry. */
export function createdOf({plan}: SealedPlan): number {
  return Date.parse(plan.created)
}
