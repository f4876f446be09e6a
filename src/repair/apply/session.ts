import type {Clock} from '../../util/clock.js'
import type {RepairStep, TagState} from '../plan/types.js'
import type {ApplyContext} from './context.js'

import {KlosetOciError} from '../../errors.js'
import {type Mac} from '../../kloset/mac.js'
import {statesDigest} from '../states-digest.js'
import {StoreLock} from '../store-lock.js'
import {isBeingRemoved, tagStateOf} from '../tag-state.js'

export interface LockingOptions {
  readonly clock?: Clock | undefined
  /** False: the operator answers for it that nothing else writes. */
  readonly lock: boolean
  /** Milliseconds that other holders of a lock are waited for. */
  readonly lockWaitMs?: number | undefined
}

/** A lock to hold on to, or none where the operator wanted none. */
export interface HeldLock {
  assertHeld(): void
  release(): Promise<void>
}

/**
 * Locks the store for a plan, in plakar's own format.
 * @throws LockedError when somebody else is at work
 * @throws KlosetOciError `UNAUTHORIZED` when the keys that a lock takes are not known
 */
export async function lockStore(context: ApplyContext, options: LockingOptions): Promise<HeldLock> {
  const {journal, keys, repository, sealed, signal} = context
  const {clock, lock, lockWaitMs} = options
  if (!lock) return {assertHeld() {}, async release() {}}
  if (!keys?.codec) throw noKeys(keys !== undefined)
  const ignore = new Set<Mac>()
  for (const {action, object} of sealed.plan.steps) {
    if (action.kind === 'remove-tag' && object.resource === 'lock' && object.mac) ignore.add(object.mac)
  }

  const held = await StoreLock.take(repository, {
    clock,
    ignore,
    keys,
    async onTaken(mac) {
      if (journal.lock !== mac) await journal.add({event: 'locked', mac})
    },
    signal,
    takeOver: journal.lock,
    waitMs: lockWaitMs,
  })
  return {
    assertHeld: () => held.assertHeld(),
    async release() {
      // One that stays is taken over by the next run of the same plan.
      if (await held.release()) await journal.add({event: 'unlocked'})
    },
  }
}

function noKeys(isEncrypted: boolean): KlosetOciError {
  const without = 'make sure that no plakar and no other repair works on the store, and give --no-lock.'
  if (isEncrypted) {
    return new KlosetOciError('UNAUTHORIZED', 'the store is encrypted: it is locked with its passphrase', {
      suggestions: ['Give --passphrase-file FILE, or set PLAKAR_PASSPHRASE.', `Or ${without}`],
    })
  }

  return new KlosetOciError('DAMAGE', 'the store cannot be locked: its CONFIG cannot be read, and no source has it', {
    suggestions: [
      'Plan again with a copy that has CONFIG (--from): without it nothing in the store can be read.',
      `Or, for the other steps meanwhile: ${without}`,
    ],
  })
}

/**
 * Holds the store against what the plan relies on. What the plan's own steps have done already is taken for granted.
 * @throws KlosetOciError `INVALID_ARGUMENT` when something else has changed
 */
export async function checkUnchanged({journal, repository, sealed, signal}: ApplyContext): Promise<void> {
  const allowed = new Map<string, Set<TagState>>()
  for (const [tag, state] of Object.entries(sealed.plan.relies)) allowed.set(tag, new Set([state]))
  for (const {id, tag} of sealed.plan.steps) for (const state of journal.step(id).after) allowed.get(tag)!.add(state)
  const changes: string[] = []
  for (const [tag, states] of allowed) {
    const now = await tagStateOf(repository, tag, {signal})
    // Half removed by an earlier run.
    if (!states.has(now) && states.has('absent') && (await isBeingRemoved(repository, tag, {signal}))) continue
    if (!states.has(now)) changes.push(`${tag} leads to ${now}, not to ${[...states].join(' or ')}`)
  }

  const {states} = sealed.plan
  if (states !== undefined && (await statesDigest(repository, {signal})) !== states) {
    changes.push('the list of states is another one: what the plan removes may be known to a new one')
  }

  if (changes.length === 0) return
  throw new KlosetOciError('INVALID_ARGUMENT', `${repository.location}: has changed since the plan was made`, {
    facts: {changes: changes.length, first: changes[0]!, store: sealed.plan.store},
    suggestions: ['Make a new plan, as this one was made.'],
  })
}

/** @throws KlosetOciError when a step's tag has been changed by somebody else in the meantime */
export async function checkStepUnchanged(step: RepairStep, context: ApplyContext): Promise<void> {
  const {journal, repository, sealed, signal} = context
  const now = await tagStateOf(repository, step.tag, {signal})
  if (now === sealed.plan.relies[step.tag]) return
  const own = sealed.plan.steps.filter(({tag}) => tag === step.tag)
  const after = new Set(own.flatMap(({id}) => journal.step(id).after))
  if (after.has(now)) return
  const mayBeAbsent = after.has('absent') || sealed.plan.relies[step.tag] === 'absent'
  if (mayBeAbsent && (await isBeingRemoved(repository, step.tag, {signal}))) return
  throw new KlosetOciError('INVALID_ARGUMENT', `${step.tag}: was changed by somebody else during the repair`, {
    facts: {actual: now, tag: step.tag},
    suggestions: ['Find out who writes to the store, then make a new plan.'],
  })
}
