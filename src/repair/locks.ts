import pMap, {pMapIterable} from 'p-map'

import type {Mac} from '../kloset/mac.js'
import type {CallOptions, Repository, UntagResult} from '../registry/interfaces.js'

import {type LockLook, LockReader, type LockReaderOptions} from '../checker/lock-look.js'
import {type ErrorJson, errorToJson, hasCode, isNotFound, LockedError} from '../errors.js'
import {tagOf} from '../kloset/resource.js'
import {DEFAULT_CONCURRENCY, KlosetStore} from '../kloset/store.js'

export interface LockOptions extends LockReaderOptions {
  /** Requests at the same time. Default 16. */
  readonly concurrency?: number | undefined
}

/** What becomes of a lock, or would. */
export interface LockRemoval extends LockLook {
  /** `planned`: it would be removed. `gone`: it was not there any more. */
  readonly action: 'failed' | 'gone' | 'kept' | 'planned' | 'removed'
  readonly failure?: Pick<ErrorJson, 'code' | 'message' | 'suggestions'>
  /** Why it is kept. */
  readonly reason?: string
  readonly result?: UntagResult
}

export interface RemoveLocksOptions extends LockOptions {
  /** False only says what would be done. */
  readonly apply: boolean
  /** Locks that have a holder, or may have one, too. */
  readonly breakHeld?: boolean | undefined
  /** These only; every stale one when it is not given. */
  readonly macs?: readonly Mac[] | undefined
}

/**
 * Every lock of a store as it is now, in the registry's order. A lock that vanishes meanwhile is left out; one that is
 * listed and leads to nothing is not: plakar stops at it.
 * @yields a lock
 */
export async function* lookAtLocks(
  repository: Repository,
  reader: LockReader,
  {concurrency = DEFAULT_CONCURRENCY, signal}: Pick<LockOptions, 'concurrency' | 'signal'> = {},
): AsyncGenerator<LockLook> {
  const store = new KlosetStore(repository)
  const absent: Mac[] = []
  const looks = pMapIterable(
    store.list('lock', {signal}),
    async (mac) => ({look: await reader.look(mac, {signal}), mac}),
    {concurrency},
  )
  for await (const {look, mac} of looks) {
    if (look) yield look
    else absent.push(mac)
  }

  if (absent.length === 0) return
  const listed = new Set<Mac>()
  for await (const mac of store.list('lock', {signal})) listed.add(mac)
  for (const mac of absent) {
    if (!listed.has(mac)) continue
    yield (await reader.look(mac, {signal})) ?? ghost(mac)
  }
}

/** Who holds a store now, or may. */
export interface Holders {
  /** In a few words each. */
  readonly held: readonly string[]
  /** Whether the passphrase would tell more of them. */
  readonly needsPassphrase: boolean
  /** Locks that nobody holds. */
  readonly stale: number
}

/** Looks at every lock of a store as it is now. */
export async function holdersOf(repository: Repository, options: LockOptions = {}): Promise<Holders> {
  const reader = await LockReader.open(repository, options)
  const held: string[] = []
  let [needsPassphrase, stale] = [false, 0]
  for await (const {hostname, mode, problem, riddle, state, tag} of lookAtLocks(repository, reader, options)) {
    needsPassphrase ||= riddle === 'no-passphrase'
    if (state === 'stale') stale += 1
    else held.push(state === 'fresh' ? `${hostname?.slice(0, 80)} (${mode})` : (problem ?? `${tag}: cannot be read`))
  }

  return {held, needsPassphrase, stale}
}

/**
 * Removes stale locks, and says of each what became of it. Right before it goes each one is looked at again: a lock that
 * was renewed meanwhile has a holder, and stays.
 * @throws LockedError when one of `macs` has or may have a holder, before anything is removed, unless `breakHeld`
 */
export async function removeLocks(
  repository: Repository,
  options: RemoveLocksOptions,
): Promise<{readonly locks: readonly LockRemoval[]; readonly reader: LockReader}> {
  const {apply, macs, signal} = options
  const reader = await LockReader.open(repository, options)
  const planned = macs ? await planNamed(repository, reader, macs, options) : await planAll(repository, reader, options)
  const held = planned.filter(({action, state}) => action === 'kept' && state !== 'stale')
  if (apply && macs && held.length > 0) throw stillHeld(held)
  if (!apply) return {locks: planned, reader}
  const locks: LockRemoval[] = []
  for (const removal of planned) {
    locks.push(removal.action === 'planned' ? await remove(repository, reader, removal, {signal}) : removal)
  }

  return {locks, reader}
}

function decide(look: LockLook, breakHeld: boolean): LockRemoval {
  if (look.state === 'stale' || breakHeld) return {...look, action: 'planned'}
  const reason = look.state === 'fresh' ? 'its holder renews it' : (look.problem ?? 'it cannot be read')
  return {...look, action: 'kept', reason}
}

async function planAll(
  repository: Repository,
  reader: LockReader,
  options: RemoveLocksOptions,
): Promise<LockRemoval[]> {
  const planned: LockRemoval[] = []
  for await (const look of lookAtLocks(repository, reader, options)) {
    planned.push(decide(look, options.breakHeld ?? false))
  }

  return planned
}

async function planNamed(
  repository: Repository,
  reader: LockReader,
  macs: readonly Mac[],
  {breakHeld = false, concurrency = DEFAULT_CONCURRENCY, signal}: RemoveLocksOptions,
): Promise<LockRemoval[]> {
  let listed: Promise<Set<Mac>> | undefined
  const list = async () => {
    const found = new Set<Mac>()
    for await (const mac of new KlosetStore(repository).list('lock', {signal})) found.add(mac)
    return found
  }

  return pMap(
    new Set(macs),
    async (mac): Promise<LockRemoval> => {
      const look = await reader.look(mac, {signal})
      if (look) return decide(look, breakHeld)
      listed ??= list()
      if ((await listed).has(mac)) return decide(ghost(mac), breakHeld)
      return {action: 'gone', mac, state: 'unknown', tag: tagOf('lock', mac)}
    },
    {concurrency, signal},
  )
}

async function remove(
  repository: Repository,
  reader: LockReader,
  planned: LockRemoval,
  {signal}: CallOptions,
): Promise<LockRemoval> {
  const {mac} = planned
  try {
    const now = await reader.look(mac, {signal})
    if (!now && planned.manifest !== undefined) return {...planned, action: 'gone'}
    if (now && now.manifest !== planned.manifest && now.state !== 'stale') {
      return {...now, action: 'kept', reason: 'it was renewed a moment ago: its holder is alive'}
    }

    const result = await new KlosetStore(repository).delete('lock', mac, {signal})
    return {...planned, action: 'removed', result}
  } catch (error) {
    if (hasCode(error, 'INTERRUPTED') || signal?.aborted) throw error
    if (isNotFound(error)) return {...planned, action: 'gone'}
    const {code, message, suggestions} = errorToJson(error)
    return {...planned, action: 'failed', failure: {code, message, suggestions}}
  }
}

function ghost(mac: Mac): LockLook {
  const tag = tagOf('lock', mac)
  return {mac, problem: `${tag}: is listed and leads to nothing`, riddle: 'damaged', state: 'unknown', tag}
}

function stillHeld(held: readonly LockRemoval[]): LockedError {
  const [first] = held
  const others = held.length > 1 ? `, and ${held.length - 1} more` : ''
  return new LockedError(`${first!.tag}: has a holder, or may have one${others}: nothing was removed`, {
    facts: {held: held.length, tag: first!.tag},
    suggestions: [
      ...held.slice(0, 5).map(({reason, tag}) => `${tag}: ${reason ?? 'held'}`),
      'A lock is renewed every 5 minutes and dead after 10: wait, then look at `locks ls` again.',
      'When its holder is certainly gone, and only then: --break-held-locks.',
    ],
  })
}
