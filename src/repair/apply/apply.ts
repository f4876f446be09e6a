import type {Clock} from '../../util/clock.js'
import type {RepairStep, TagState} from '../plan/types.js'
import type {ApplyContext} from './context.js'

import {type ErrorCode, errorToJson, KlosetOciError} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {recordName} from './context.js'
import {checkStepUnchanged, checkUnchanged, type LockingOptions, lockStore} from './session.js'
import {perform} from './steps.js'

export interface ApplyOptions extends LockingOptions {
  readonly clock?: Clock | undefined
  readonly onStep?: ((step: RepairStep) => void) | undefined
}

/** What became of one step. */
export interface StepResult {
  readonly error?:
    undefined | {readonly code: string; readonly message: string; readonly suggestions: readonly string[]}
  readonly id: number
  readonly kind: RepairStep['action']['kind']
  /** `before`: an earlier run had done it. */
  readonly status: 'before' | 'done' | 'failed'
  readonly tag: string
}

export interface ApplyResult {
  readonly done: number
  readonly failed: number
  readonly quarantine: string
  readonly steps: readonly StepResult[]
}

/** Failures after which no other step would fare better. */
const FATAL: ReadonlySet<ErrorCode> = new Set([
  'FORBIDDEN',
  'INTERRUPTED',
  'IO',
  'LOCKED',
  'RATE_LIMITED',
  'UNAUTHORIZED',
  'UNREACHABLE',
])

/**
 * Carries a plan out, from where an earlier run stopped. Each step is done or not; what it replaces is in the quarantine
 * before anything changes. A step that fails is told, and the others go on.
 * @throws KlosetOciError when the store has changed, is in use, or cannot be reached
 */
export async function applyPlan(context: ApplyContext, options: ApplyOptions): Promise<ApplyResult> {
  const {journal, quarantine, sealed} = context
  await checkUnchanged(context)
  if (journal.quarantine === undefined) {
    await journal.add({event: 'plan', id: sealed.id, quarantine: quarantine.location})
  }

  const lock = await lockStore(context, options)
  const steps: StepResult[] = []
  try {
    // Once more: what was true before the lock may not be so any longer.
    await checkUnchanged(context)
    for (const step of sealed.plan.steps) {
      throwIfAborted(context.signal)
      lock.assertHeld()
      options.onStep?.(step)
      steps.push(await runStep(step, context))
    }
  } finally {
    await lock.release()
  }

  const failed = steps.filter(({status}) => status === 'failed').length
  return {done: steps.length - failed, failed, quarantine: quarantine.location, steps}
}

async function runStep(step: RepairStep, context: ApplyContext): Promise<StepResult> {
  const {journal, signal} = context
  const base = {id: step.id, kind: step.action.kind, tag: step.tag}
  if (journal.step(step.id).status === 'done') return {...base, status: 'before'}
  try {
    await checkStepUnchanged(step, context)
    await journal.add({event: 'begin', step: step.id})
    await keepReplaced(step, context)
    const after: TagState = await perform(step, context)
    await journal.add({after, event: 'done', step: step.id})
    return {...base, status: 'done'}
  } catch (error) {
    if (signal?.aborted || !(error instanceof KlosetOciError) || FATAL.has(error.code)) throw error
    await journal.add({event: 'failed', message: error.message, step: step.id})
    const {code, message, suggestions} = errorToJson(error)
    return {...base, error: {code, message, suggestions}, status: 'failed'}
  }
}

/** Copies what the step replaces, once: after its first write there is nothing old to copy any more. */
async function keepReplaced(step: RepairStep, context: ApplyContext): Promise<void> {
  const {journal, quarantine, repository, sealed, signal} = context
  if (journal.step(step.id).records.some(({tag}) => tag === step.tag)) return
  const record = recordName(sealed, step.id, 'before')
  await quarantine.save(record, step.tag, repository, {signal})

  await journal.add({event: 'quarantined', record, step: step.id, tag: step.tag})
}
