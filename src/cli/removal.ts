import pMap, {pMapIterable} from 'p-map'

import type {Mac} from '../kloset/mac.js'
import type {Resource} from '../kloset/resource.js'
import type {KlosetStore} from '../kloset/store.js'
import type {Digest} from '../registry/digest.js'
import type {UntagResult} from '../registry/interfaces.js'
import type {Clock} from '../util/clock.js'

import {LockReader} from '../checker/index.js'
import {type ErrorJson, errorToJson, hasCode, isNotFound} from '../errors.js'
import {tagOf} from '../kloset/resource.js'

/** Whether a lock still has a holder. `unknown` counts as held: it cannot be read without the passphrase. */
export interface LockState {
  readonly ageMs?: number
  readonly hostname?: string
  readonly state: 'held' | 'stale' | 'unknown'
}

/** One object that is to go, as it is now. */
export interface PlannedRemoval {
  /** Why it cannot be looked at; its tag can be removed all the same. */
  readonly error?: Pick<ErrorJson, 'code' | 'message'>
  readonly lock?: LockState
  readonly mac: Mac
  readonly manifest?: Digest
  readonly resource: Resource
  /** Other tags that lead to the same manifest: it stays for them. Not looked for when undefined. */
  readonly sharedWith?: readonly string[]
  readonly size?: number
  readonly tag: string
}

/** What became of it. */
export interface Removed extends PlannedRemoval {
  readonly failure?: Pick<ErrorJson, 'code' | 'message' | 'suggestions'>
  readonly result?: UntagResult
}

export interface RemovalOptions {
  readonly clock?: Clock | undefined
  readonly concurrency: number
  /** Ask every tag of the repository which manifest it leads to: a request per tag. */
  readonly lookForShared: boolean
  readonly onProgress?: ((done: number) => void) | undefined
  readonly signal: AbortSignal
}

/**
 * Looks at what is to go, and changes nothing.
 * @throws NotFoundError when one of the objects is not there
 */
export async function planRemoval(
  store: KlosetStore,
  resource: Resource,
  macs: readonly Mac[],
  options: RemovalOptions,
): Promise<PlannedRemoval[]> {
  const {concurrency, lookForShared, signal} = options
  const planned = await pMap(macs, async (mac) => look(store, resource, mac, options), {concurrency, signal})
  if (!lookForShared) return planned
  const sharers = await tagsOfManifests(store, planned, options)
  return planned.map((removal) =>
    removal.manifest
      ? {...removal, sharedWith: sharers.get(removal.manifest)?.filter((tag) => tag !== removal.tag) ?? []}
      : removal,
  )
}

async function look(
  store: KlosetStore,
  resource: Resource,
  mac: Mac,
  options: RemovalOptions,
): Promise<PlannedRemoval> {
  const {signal} = options
  const base = {mac, resource, tag: tagOf(resource, mac)}
  try {
    const {manifestDigest, size} = await store.stat(resource, mac, {signal})
    const lock = resource === 'lock' ? await lockState(store, mac, options) : undefined
    return {...base, manifest: manifestDigest, size, ...(lock && {lock})}
  } catch (error) {
    if (isNotFound(error) && !(await isTagged(store, base.tag, signal))) throw error
    if (
      !isNotFound(error) &&
      !['DAMAGE', 'INTEGRITY', 'PROTOCOL', 'STORE_FORMAT'].some((code) => hasCode(error, code as 'DAMAGE'))
    ) {
      throw error
    }

    const {code, message} = errorToJson(error)
    return {...base, error: {code, message}, ...(resource === 'lock' && {lock: await lockState(store, mac, options)})}
  }
}

async function isTagged(store: KlosetStore, tag: string, signal: AbortSignal): Promise<boolean> {
  for await (const entry of store.listAll({signal})) if (entry.tag === tag) return true
  return false
}

/** Who holds a lock, as far as it can be read without a passphrase. */
async function lockState(store: KlosetStore, mac: Mac, {clock, signal}: RemovalOptions): Promise<LockState> {
  const reader = await LockReader.open(store.repository, {clock, signal})
  const look = await reader.look(mac, {signal})
  if (!look || look.state === 'unknown') return {state: 'unknown'}
  const {ageMs, hostname, state} = look
  return {
    ...(ageMs !== undefined && {ageMs}),
    ...(hostname !== undefined && {hostname}),
    state: state === 'stale' ? 'stale' : 'held',
  }
}

async function tagsOfManifests(
  {repository}: KlosetStore,
  planned: readonly PlannedRemoval[],
  {concurrency, onProgress, signal}: RemovalOptions,
): Promise<Map<Digest, string[]>> {
  const sharers = new Map<Digest, string[]>(planned.flatMap(({manifest}) => (manifest ? [[manifest, []]] : [])))
  const resolved = pMapIterable(repository.tags({signal}), async (tag) => ({digest: await digestOf(tag), tag}), {
    concurrency,
  })
  const digestOf = async (tag: string) => {
    try {
      return (await repository.manifests.resolve(tag, {signal})).digest
    } catch (error) {
      if (isNotFound(error)) return
      throw error
    }
  }

  let done = 0
  for await (const {digest, tag} of resolved) {
    if (digest) sharers.get(digest)?.push(tag)
    onProgress?.(++done)
  }

  return sharers
}

/** Removes one by one: what fails is told, and the others go on. */
export async function applyRemoval(
  store: KlosetStore,
  planned: readonly PlannedRemoval[],
  {onProgress, signal}: Pick<RemovalOptions, 'onProgress' | 'signal'>,
): Promise<Removed[]> {
  const removed: Removed[] = []
  for (const removal of planned) {
    try {
      const result = await store.delete(removal.resource, removal.mac, {signal})
      removed.push({...removal, result})
    } catch (error) {
      if (hasCode(error, 'INTERRUPTED') || signal.aborted) throw error
      const {code, message, suggestions} = errorToJson(error)
      removed.push({...removal, failure: {code, message, suggestions}})
    }

    onProgress?.(removed.length)
  }

  return removed
}
