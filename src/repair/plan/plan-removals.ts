import type {Finding} from '../../checker/findings.js'
import type {Mac} from '../../kloset/mac.js'
import type {PlanContext} from './context.js'

import {Failures} from '../../checker/failures.js'
import {StateBook} from '../../checker/state-book.js'
import {readState} from '../../checker/state-read.js'
import {isObjectFault} from '../../kloset/faults.js'
import {isEmptied, readObjectManifest} from '../../kloset/object-manifest.js'
import {tagOf} from '../../kloset/resource.js'
import {KlosetStore} from '../../kloset/store.js'
import {statesDigest} from '../states-digest.js'
import {draft} from './draft.js'
import {planObjects} from './plan-objects.js'

/** Findings about packfiles and states whose removal was cut off, and about everything else. */
export interface SortedFindings {
  readonly others: readonly Finding[]
  /** By their tags. */
  readonly removals: ReadonlyMap<string, readonly Finding[]>
}

/** What is damaged besides, CONFIG too, is healed as if nobody had begun to remove it; locks have their own way. */
export function sortRemovals(findings: readonly Finding[]): SortedFindings {
  const wrong = new Set(findings.filter(({severity}) => severity === 'error').map(({tag}) => tag))
  const removals = new Map<string, Finding[]>()
  for (const {kind, object, tag} of findings) {
    const isObject = object?.resource === 'packfile' || object?.resource === 'state'
    if (kind === 'removal-cut-off' && isObject && tag !== undefined && !wrong.has(tag)) removals.set(tag, [])
  }

  const others: Finding[] = []
  for (const one of findings) (removals.get(one.tag ?? '') ?? others).push(one)
  return {others, removals}
}

/**
 * Plans for removals that were cut off. A packfile that no state needs goes, and so does a tag that nothing is left
 * under; what the store needs, or may need, gets a manifest of its own again: readers never missed it.
 * @returns what the list of states was before they were asked, when a step relies on it
 */
export async function planRemovals(
  removals: SortedFindings['removals'],
  context: PlanContext,
): Promise<string | undefined> {
  if (removals.size === 0) return undefined
  const {book, repository, signal} = context
  // First: of what comes later the plan knows nothing, and is refused then.
  const states = await statesDigest(repository, {signal})
  const need = await needOfPackfiles(context)
  const back: Finding[] = []
  let [later, relies] = [0, false]
  // States first: those that go change their list.
  for (const [tag, findings] of [...removals].sort(([a], [b]) => (a < b ? 1 : -1))) {
    const {mac, resource} = findings[0]!.object!
    await book.rely(repository, tag, signal)
    const left = await leftOf(tag, context)
    // Finished, or written anew, since it was found.
    if (left === undefined) continue
    const isNeeded = left === 'all' && (resource === 'state' ? true : need?.(mac!))
    if (isNeeded === undefined) {
      book.note(`${tag}: its removal was cut off, and whether a state needs it cannot be told: it stays as it is`)
    } else if (isNeeded) back.push(...findings)
    else if (left === 'all' && book.changesStates) later += 1
    else {
      relies ||= left === 'all'
      const why = findings.filter(({kind}) => kind === 'removal-cut-off')
      book.add(draft({mac, resource, tag}, {kind: 'remove-tag'}, {sources: book.locations, why}))
    }
  }

  if (later > 0) {
    const what = `${later} removals of packfiles were cut off, and this plan changes the states that may need them`
    book.note(`${what}: make another plan when it has been applied, to finish them`)
  }

  await planObjects(back, context)
  return relies ? states : undefined
}

/** What a removal has left of an object; undefined when it is none, or not any more. */
async function leftOf(tag: string, {repository, signal}: PlanContext): Promise<'all' | 'tag' | undefined> {
  try {
    const {isStandIn} = readObjectManifest(await repository.manifests.get(tag, {signal}), tag)
    return isStandIn ? 'all' : undefined
  } catch (error) {
    if (isEmptied(error)) return 'tag'
    if (isObjectFault(error)) return undefined
    throw error
  }
}

/**
 * Which packfiles the states need: all of them while a state cannot be read.
 * @returns undefined when no state can be, without the store's key
 */
async function needOfPackfiles(context: PlanContext): Promise<((mac: Mac) => boolean) | undefined> {
  const {keys, overlay, signal} = context
  if (!keys?.codec) return undefined
  const book = new StateBook()
  const {codec, contents} = keys
  const reading = {codec, deep: false, failures: new Failures(), keys: contents, repository: overlay, signal}
  for await (const mac of new KlosetStore(overlay).list('state', {signal})) {
    try {
      book.add(mac, await readState({mac, resource: 'state', tag: tagOf('state', mac)}, reading))
    } catch (error) {
      if (isEmptied(error)) continue
      if (!isObjectFault(error)) throw error
      book.isWhole = false
    }
  }

  return (mac) => !book.isWhole || book.isExpected(mac)
}
