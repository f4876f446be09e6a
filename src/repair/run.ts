import {resolve} from 'node:path'

import type {Digest} from '../registry/digest.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {ApplyOptions, ApplyResult} from './apply/apply.js'
import type {ApplyContext} from './apply/context.js'
import type {Unlock} from './plan/find-config.js'
import type {SealedPlan} from './plan/plan-file.js'
import type {RepairAction} from './plan/types.js'

import {InvalidArgumentError, isNotFound, KlosetOciError} from '../errors.js'
import {applyPlan} from './apply/apply.js'
import {undoPlan, type UndoResult} from './apply/undo.js'
import {Journal} from './journal.js'
import {lockPlan} from './plan-lock.js'
import {findConfig, ownConfig} from './plan/find-config.js'
import {Quarantine} from './quarantine.js'
import {openSource} from './sources/open-sources.js'
import {SelfSource} from './sources/self-source.js'
import {type Source} from './sources/source.js'

export interface RunOptions extends ApplyOptions, CallOptions {
  /** Opens the plan's store, its sources and the quarantine. */
  readonly openRepository: (
    location: string,
    options: {readonly create?: boolean; readonly readOnly?: boolean},
  ) => Promise<Repository>
  /** Where the plan lies: its journal and, by default, its quarantine lie beside it. */
  readonly planPath: string
  /** Where what is replaced is kept. Default: a layout beside the plan. */
  readonly quarantine?: string | undefined
  readonly unlock: Unlock
}

export function journalPathOf(planPath: string): string {
  return `${planPath}.journal`
}

/**
 * Carries a plan out, or on from where an earlier run stopped. One without steps leaves nothing behind, and its name free
 * for the next.
 * @throws LockedError when the plan or the store is in use
 * @throws KlosetOciError `INVALID_ARGUMENT` when the store has changed since the plan was made
 */
export async function applyRepair(sealed: SealedPlan, options: RunOptions): Promise<ApplyResult> {
  if (sealed.plan.steps.length === 0) {
    return {done: 0, failed: 0, quarantine: quarantineOf(sealed, undefined, options), steps: []}
  }

  return withContext(sealed, options, async (context) => applyPlan(context, options))
}

/**
 * Puts back what a plan's steps have replaced or removed.
 * @throws KlosetOciError `NOT_FOUND` when nothing of the plan was done
 */
export async function undoRepair(sealed: SealedPlan, options: RunOptions): Promise<UndoResult> {
  return withContext(sealed, {...options, isUndo: true}, async (context) => undoPlan(context, options))
}

async function withContext<T>(
  sealed: SealedPlan,
  options: RunOptions & {
    /** What it needs was made before. */
    readonly isUndo?: boolean
  },
  work: (context: ApplyContext) => Promise<T>,
): Promise<T> {
  const {openRepository, planPath, signal, unlock} = options
  const {plan} = sealed
  const unlockPlan = await lockPlan(planPath)
  const toClose: {close(): Promise<void>}[] = []
  try {
    const journal = await Journal.open(journalPathOf(planPath), sealed.id)
    toClose.push(journal)
    if (options.isUndo && journal.quarantine === undefined) {
      throw new KlosetOciError('NOT_FOUND', `${planPath}: nothing of this plan was done: there is no journal`, {
        suggestions: [
          `If it was carried out all the same: bring its journal (${journalPathOf(planPath)}) back, or run this where that is. It alone says what was done.`,
        ],
      })
    }

    const repository = await openRepository(plan.store, {})
    toClose.push(repository)
    const kept = await openQuarantine(quarantineOf(sealed, journal, options), options)
    toClose.push(kept)
    const sources: Source[] = []
    for (const {kind, location} of plan.sources) {
      const source =
        kind === 'self'
          ? new SelfSource(repository, undefined)
          : await openSource(location, async (text) => openRepository(text, {readOnly: true}))
      sources.push(source)
      if (kind !== 'self') toClose.push(source)
    }

    const keys =
      (await ownConfig(repository, unlock, {signal})) ?? (await plannedKeys(sealed, repository, sources, options))
    const quarantine = new Quarantine(kept, sealed.id)
    return await work({journal, keys, quarantine, repository, sealed, signal, sources})
  } finally {
    for (const one of toClose.toReversed()) await one.close()
    await unlockPlan()
  }
}

/** To take something back what was kept must be there: an empty quarantine in its place would only look like it. */
async function openQuarantine(
  location: string,
  {isUndo = false, openRepository}: Pick<RunOptions, 'openRepository'> & {readonly isUndo?: boolean},
): Promise<Repository> {
  try {
    return await openRepository(location, {create: !isUndo})
  } catch (error) {
    if (!isUndo || !isNotFound(error)) throw error
    throw new KlosetOciError('NOT_FOUND', `${location}: the quarantine is not there, and what was replaced is in it`, {
      cause: error,
      suggestions: ['Put it back where it was, beside the plan and its journal, and run `repair undo` again.'],
    })
  }
}

/** The keys of a store whose CONFIG a step of the plan brings back. */
async function plannedKeys(
  {plan}: SealedPlan,
  repository: Repository,
  sources: readonly Source[],
  {signal, unlock}: RunOptions,
) {
  const step = plan.steps.find(({action, object}) => object.resource === 'config' && action.kind !== 'put-config-blob')
  if (!step) return
  const expected = layerOf(step.action)
  return (await findConfig(repository, {expected, signal, sources, unlock}))?.keys
}

/** The bytes that a step brings back, by their digest. */
function layerOf(action: RepairAction): Digest | undefined {
  if (action.kind === 'put-blob' || action.kind === 'put-object') return action.from.digest
  return action.kind === 'retag' || action.kind === 'rewrite-manifest' ? action.layer : undefined
}

/** @throws InvalidArgumentError when it would lie in the store, or not where the first run began it */
function quarantineOf({plan}: SealedPlan, journal: Journal | undefined, {planPath, quarantine}: RunOptions): string {
  const location = quarantine ?? journal?.quarantine ?? `oci-layout:${resolve(planPath)}.quarantine`
  if (journal?.quarantine !== undefined && location !== journal.quarantine) {
    throw new InvalidArgumentError(
      `the quarantine of this plan is ${journal.quarantine}: what it replaces is kept there`,
    )
  }

  if (location === plan.store) {
    throw new InvalidArgumentError('the quarantine cannot be the store itself', {
      suggestions: ['Give --quarantine another repository or a layout, or leave it away.'],
    })
  }

  return location
}
