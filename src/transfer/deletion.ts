import type {Mac} from '../kloset/mac.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {StoreCopy} from './copy.js'
import type {MacSet} from './mac-set.js'

import {errorToJson, isNotFound, KlosetOciError, LockedError, ProtocolError} from '../errors.js'
import {type Resource, tagOf} from '../kloset/resource.js'
import {KlosetStore} from '../kloset/store.js'
import {type CopyFailure} from './outcome.js'
import {copyExitCode} from './summary.js'

/** States before the packfiles that they point at. Locks and CONFIG are never deleted from a target, nor foreign tags. */
const ORDER = ['state', 'packfile'] as const

export interface DeletionOutcome {
  readonly failure?: Pick<CopyFailure, 'code' | 'message' | 'suggestions'> | undefined
  readonly mac: Mac
  readonly resource: Resource
  readonly status: 'deleted' | 'failed' | 'would-delete'
  readonly tag: string
}

/** The locks of a target, as they are now. */
export interface TargetLocks {
  /** What would let more be known of the held ones. */
  readonly advice?: string | undefined
  /** Those that have a holder, or may have one, each in a few words. */
  readonly held: readonly string[]
}

export interface DeletionOptions extends CallOptions {
  /** False: say what would go, and delete nothing. */
  readonly apply: boolean
  /** Looks at the target's locks. Without it every lock that lay there when the copy began counts as held. */
  readonly lookAtLocks?: (() => Promise<TargetLocks>) | undefined
  readonly resources: readonly Resource[]
}

/**
 * Deletes from the target what the source has no longer, after a copy has been read to its end. The source is asked for
 * each tag once more before anything goes: a list that was short must not cost data.
 * @throws KlosetOciError `PARTIAL` when the copy was not complete, or the source has lost all its states
 * @throws LockedError when a lock of the target is held, or may be
 * @throws ProtocolError when the source has a tag that it did not list
 */
export async function* deleteTargetOnly(
  copy: StoreCopy,
  from: Repository,
  to: Repository,
  {apply, lookAtLocks, resources, signal}: DeletionOptions,
): AsyncGenerator<DeletionOutcome> {
  const {targetOnly} = copy
  refuseUnsafe(copy)
  refuseHeld(lookAtLocks ? await lookAtLocks() : unknownLocks(copy), to)
  for (const resource of ORDER)
    if (resources.includes(resource)) await refuseListed(from, resource, targetOnly[resource], signal)
  const store = new KlosetStore(to)
  for (const resource of ORDER) {
    if (!resources.includes(resource)) continue
    for (const mac of targetOnly[resource]) {
      const subject = {mac, resource, tag: tagOf(resource, mac)}
      yield apply ? {...subject, ...(await remove(store, resource, mac, signal))} : {...subject, status: 'would-delete'}
    }
  }
}

async function remove(
  store: KlosetStore,
  resource: Resource,
  mac: Mac,
  signal: AbortSignal | undefined,
): Promise<Pick<DeletionOutcome, 'failure' | 'status'>> {
  try {
    await store.delete(resource, mac, {signal})
    return {status: 'deleted'}
  } catch (error) {
    if (isNotFound(error)) return {status: 'deleted'}
    if (!(error instanceof KlosetOciError) || error.code === 'INTERRUPTED') throw error
    const {code, message, suggestions} = errorToJson(error)
    return {failure: {code, message, suggestions}, status: 'failed'}
  }
}

/** @throws ProtocolError */
async function refuseListed(
  from: Repository,
  resource: Resource,
  macs: MacSet,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const mac of macs) {
    const tag = tagOf(resource, mac)
    try {
      await from.manifests.resolve(tag, {signal})
    } catch (error) {
      if (isNotFound(error)) continue
      throw error
    }

    throw new ProtocolError(
      `${from.location}: has ${tag} and did not list it: nothing is deleted on the word of its list`,
      {
        facts: {tag},
        suggestions: ['It may have been written at this moment: run it again. Otherwise see `doctor` for the source.'],
      },
    )
  }
}

/** @throws KlosetOciError when what was read does not bear a deletion */
function refuseUnsafe({summary}: StoreCopy): void {
  if (copyExitCode(summary) !== 0 || summary.counts.vanished > 0) {
    throw new KlosetOciError('PARTIAL', 'nothing is deleted: the copy before it was not complete', {
      suggestions: ['See to what failed, then run it again.'],
    })
  }

  if (summary.sourceStates === 0 && summary.targetOnly.state > 0) {
    throw new KlosetOciError('PARTIAL', 'nothing is deleted: the source has no states at all, and the target has', {
      facts: {states: summary.targetOnly.state},
      suggestions: ['Something has emptied the source: the target may be the last copy.'],
    })
  }
}

function unknownLocks({targetLocks}: StoreCopy): TargetLocks {
  return {held: Array.from({length: targetLocks}, () => 'a lock that was not looked at')}
}

/** @throws LockedError */
function refuseHeld({advice, held}: TargetLocks, to: Repository): void {
  if (held.length === 0) return
  throw new LockedError(`${to.location}: somebody works on it, or may: ${held.slice(0, 5).join(', ')}`, {
    facts: {locks: held.length},
    suggestions: [
      'Wait for the backup there to end: a lock is renewed every 5 minutes and dead after 10. `locks ls` shows them.',
      ...(advice === undefined ? [] : [advice]),
    ],
  })
}
