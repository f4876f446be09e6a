import type {RepairStep, TagState} from '../plan/types.js'
import type {QuarantineRecord} from '../quarantine.js'
import type {ApplyContext} from './context.js'

import {errorToJson, hasCode, isNotFound, KlosetOciError} from '../../errors.js'
import {isDigest} from '../../registry/digest.js'
import {MEDIA_TYPE} from '../../registry/media-types.js'
import {throwIfAborted} from '../../util/abort.js'
import {spool} from '../../util/spool.js'
import {isBeingRemoved, tagStateOf} from '../tag-state.js'
import {recordName} from './context.js'
import {type LockingOptions, lockStore} from './session.js'

/** What became of the undoing of one step. */
export interface UndoneStep {
  readonly error?:
    undefined | {readonly code: string; readonly message: string; readonly suggestions: readonly string[]}
  readonly id: number
  readonly kind: RepairStep['action']['kind']
  /** Why it was left as it is. */
  readonly reason?: string | undefined
  /** `kept`: there is nothing to put back. */
  readonly status: 'failed' | 'kept' | 'undone'
  readonly tag: string
}

export interface UndoResult {
  readonly failed: number
  readonly quarantine: string
  readonly steps: readonly UndoneStep[]
  readonly undone: number
}

/**
 * Puts back what the steps of a plan have replaced or removed, the last step first. What they have written goes into the
 * quarantine before. Blobs that were added stay: they are what their digest says.
 * @throws KlosetOciError when the store is in use or cannot be reached
 */
export async function undoPlan(
  context: ApplyContext,
  options: LockingOptions & {readonly onStep?: ((step: RepairStep) => void) | undefined},
): Promise<UndoResult> {
  const {journal, quarantine, sealed, signal} = context
  const lock = await lockStore(context, options)
  const steps: UndoneStep[] = []
  try {
    for (const step of sealed.plan.steps.toReversed()) {
      const {status} = journal.step(step.id)
      if (status === 'none' || status === 'undone') continue
      throwIfAborted(signal)
      lock.assertHeld()
      options.onStep?.(step)
      steps.push(await undoStep(step, context))
    }
  } finally {
    await lock.release()
  }

  const failed = steps.filter(({status}) => status === 'failed').length
  return {
    failed,
    quarantine: quarantine.location,
    steps,
    undone: steps.filter(({status}) => status === 'undone').length,
  }
}

async function undoStep(step: RepairStep, context: ApplyContext): Promise<UndoneStep> {
  const {journal, signal} = context
  const base = {id: step.id, kind: step.action.kind, tag: step.tag}
  try {
    const outcome = await putBack(step, context)
    if (outcome.stays) return {...base, reason: outcome.reason, status: 'kept'}
    if (outcome.state !== undefined) {
      // After what was there is back: no blob is without a place in between.
      await removeMade(step, context)
      await journal.add({after: outcome.state, event: 'undone', step: step.id})
      return {...base, reason: outcome.reason, status: outcome.reason === undefined ? 'undone' : 'kept'}
    }

    return {...base, reason: outcome.reason, status: 'failed'}
  } catch (error) {
    if (signal?.aborted || !(error instanceof KlosetOciError) || error.code === 'INTERRUPTED') throw error
    const {code, message, suggestions} = errorToJson(error)
    return {...base, error: {code, message, suggestions}, status: 'failed'}
  }
}

interface Outcome {
  readonly reason?: string
  /** What the tag leads to now; none when it was not touched because somebody else has changed it. */
  readonly state?: TagState
  /** The step stays done, since the store does not take back what was there before it. */
  readonly stays?: boolean
}

async function putBack(step: RepairStep, context: ApplyContext): Promise<Outcome> {
  const {journal, quarantine, repository, sealed, signal} = context
  const progress = journal.step(step.id)
  const now = await tagStateOf(repository, step.tag, {signal})
  const before = progress.records.find(({tag}) => tag === step.tag)
  // Begun, and broken off before it had changed anything.
  if (!before) return {state: now}
  const record = await quarantine.load(before.record, {signal})
  if (now === record.state) {
    const isBlobOnly = step.action.kind === 'put-blob' || step.action.kind === 'put-config-blob'
    return isBlobOnly
      ? {reason: 'only blobs were written, and they are what their digest says', state: now}
      : {state: now}
  }

  const mayBeAbsent = record.state === 'absent' || progress.after.includes('absent')
  const isHalfRemoved = mayBeAbsent && (await isBeingRemoved(repository, step.tag, {signal}))
  if (!progress.after.includes(now) && !isHalfRemoved)
    return {reason: `${step.tag} leads to ${now}: somebody else has changed it since`}
  await journal.add({event: 'undoing', step: step.id})
  // What is half removed was kept before that.
  if (!isHalfRemoved) await quarantine.save(recordName(sealed, step.id, 'after'), step.tag, repository, {signal})
  if (record.state === 'absent') {
    await repository.manifests.untag(step.tag, {signal}).catch((error: unknown) => {
      if (!isNotFound(error)) throw error
    })
    return {state: await tagStateOf(repository, step.tag, {signal})}
  }

  const raw = await quarantine.manifestOf(record, {signal})
  if (!raw || !isDigest(record.state)) {
    return {reason: 'what was there before could not be read, and so not be kept', state: now}
  }

  await putContentBack(record, context)
  try {
    await repository.manifests.push({bytes: raw.bytes, mediaType: raw.mediaType}, {signal, tag: step.tag})
  } catch (error) {
    if (!(await isRefusedAsDangling(error, record, context))) throw error
    return {
      reason: 'what was there before had lost its content, and the registry takes no manifest without it',
      stays: true,
    }
  }

  return {state: await tagStateOf(repository, step.tag, {signal})}
}

/** Most registries take no manifest whose content they have not; the tag then leads to what the repair has made. */
async function isRefusedAsDangling(
  error: unknown,
  {layer}: QuarantineRecord,
  {repository, signal}: ApplyContext,
): Promise<boolean> {
  if (layer === undefined || !(hasCode(error, 'REGISTRY') || isNotFound(error))) return false
  try {
    await repository.blobs.resolve(layer, {signal})
    return false
  } catch (error_) {
    if (isNotFound(error_)) return true
    throw error_
  }
}

/** Takes away tags that the step has made beside its own, with what they lead to in the quarantine first. */
async function removeMade(step: RepairStep, context: ApplyContext): Promise<void> {
  const {journal, quarantine, repository, sealed, signal} = context
  for (const [tag, states] of [...journal.step(step.id).made].toReversed()) {
    if (tag === step.tag) continue
    const now = await tagStateOf(repository, tag, {signal})
    const isWhole = states.has(now)
    if (!isWhole && !(await isBeingRemoved(repository, tag, {signal}))) continue
    await journal.add({event: 'undoing', step: step.id})
    // What is half removed was kept before that.
    if (isWhole)
      await quarantine.save(recordName(sealed, step.id, `made-${tag.slice(0, 40)}`), tag, repository, {signal})
    await repository.manifests.untag(tag, {signal})
  }
}

/** The blob that the old manifest names, where it has gone since and was kept whole. */
async function putContentBack({content, layer}: QuarantineRecord, context: ApplyContext): Promise<void> {
  const {quarantine, repository, signal} = context
  if (!content || content.digest !== layer) return
  const bytes = await spool(await quarantine.open(content, {signal}), {signal})
  try {
    const target = {digest: content.digest, mediaType: MEDIA_TYPE.octetStream, size: bytes.size}
    await repository.blobs.push(target, bytes, {signal})
  } finally {
    await bytes.dispose()
  }
}
