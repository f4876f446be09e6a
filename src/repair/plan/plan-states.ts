import type {Finding} from '../../checker/findings.js'
import type {Mac} from '../../kloset/mac.js'
import type {Clock} from '../../util/clock.js'
import type {PlanContext} from './context.js'
import type {Patient} from './heal.js'
import type {LostObject, Outcome} from './plan-objects.js'

import {gcCheck} from '../../checker/gc-check.js'
import {KlosetOciError} from '../../errors.js'
import {BLOB_TYPES} from '../../kloset/blob-type.js'
import {packfileIndexOf} from '../packfile-access.js'
import {type CachedStates, StateCacheSource} from '../sources/cache-source.js'
import {readStateFacts} from '../state-facts.js'
import {tagStateOf} from '../tag-state.js'
import {draft} from './draft.js'
import {diagnose} from './heal.js'
import {planObjects} from './plan-objects.js'

/** A healed state may tell of further lost objects, among them states: so often is looked again. */
const MAX_ROUNDS = 4

export interface StateOptions extends PlanContext {
  readonly clock: Clock
}

/**
 * Plans for states: what the healed ones tell of is looked for as well; packfiles that only lost ones knew are told of
 * by the sources' states, or by a new one that is made of their indexes.
 * @param first what became of the objects that the check found damaged
 * @returns what stays lost, packfiles and CONFIG
 */
export async function planStates(
  findings: readonly Finding[],
  first: Outcome,
  options: StateOptions,
): Promise<readonly LostObject[]> {
  const {keys, overlay} = options
  const lost = first.lost.filter(({patient}) => patient.resource !== 'state')
  const lostStates = new Map(
    first.lost.filter(({patient}) => patient.resource === 'state').map((one) => [one.patient.tag, one]),
  )
  let unknown = unknownIn(findings)
  if (!keys?.codec) {
    loseStates(lostStates.values(), 'and without the passphrase no new one can be made', options)
    return lost
  }

  const seen = new Set([...first.healed.map(({tag}) => tag), ...first.lost.map(({patient}) => patient.tag)])
  let outcome = first
  for (let round = 0; round < MAX_ROUNDS; round++) {
    for (const {patient} of outcome.lost) if (patient.resource === 'state') overlay.hide(patient.tag)
    const changesStates = [...outcome.healed, ...outcome.lost.map(({patient}) => patient)].some(
      ({resource}) => resource === 'state',
    )
    if (!changesStates) break
    const again = await checkAgain(options)
    unknown = unknownIn(again)
    const fresh = again.filter(({tag}) => tag !== undefined && !seen.has(tag))
    outcome = await planObjects(fresh, options)
    for (const {tag} of outcome.healed) seen.add(tag)
    for (const one of outcome.lost) {
      seen.add(one.patient.tag)
      if (one.patient.resource === 'state') lostStates.set(one.patient.tag, one)
      else lost.push(one)
    }
  }

  const left = await fromSources(new Set(unknown), options)
  await rebuild([...lostStates.values()], left, options)
  return lost
}

async function checkAgain({clock, concurrency, keys, overlay, signal}: StateOptions): Promise<Finding[]> {
  const findings: Finding[] = []
  const check = gcCheck(overlay, {clock, concurrency, deep: false, secret: keys?.secret, signal})
  for await (const finding of check) {
    if (finding.kind === 'tag-missing' || finding.kind === 'packfile-unknown') findings.push(finding)
  }

  return findings
}

function unknownIn(findings: readonly Finding[]): readonly Mac[] {
  return findings.flatMap(({kind, object}) => (kind === 'packfile-unknown' && object?.mac ? [object.mac] : []))
}

function loseStates(states: Iterable<LostObject>, why: string, {book}: StateOptions): void {
  for (const {patient, reason} of states) {
    book.lose({paths: [], reason: `${reason}; no copy was found, ${why}`, snapshots: 'unknown', tag: patient.tag})
  }
}

/** States of the sources that the store has not, and that tell of packfiles which nothing in the store knows. */
async function fromSources(unknown: Set<Mac>, options: StateOptions): Promise<Set<Mac>> {
  const {book, keys, overlay, repository, signal, sources} = options
  for (const source of sources) {
    if (unknown.size === 0) return unknown
    for await (const name of source.states({signal})) {
      if (unknown.size === 0) return unknown
      if ((await tagStateOf(overlay, name.tag, {signal})) !== 'absent') continue
      for await (const copy of source.copies(name, {signal})) {
        const facts = await readStateFacts(copy, keys!, {signal}).catch((error: unknown) => {
          if (!(error instanceof KlosetOciError) || error.code === 'INTERRUPTED') throw error
        })
        const told = facts?.packfiles.filter((mac) => unknown.has(mac)) ?? []
        if (told.length === 0) continue
        const why = {
          message: `${name.tag}: has no tag, and tells of ${told.length} packfiles that no other state knows`,
        }
        await book.rely(repository, name.tag, signal)
        const diagnosis = await diagnose({...name, findings: []}, options)
        if (diagnosis.kind !== 'heal') continue
        book.add(draft(name, diagnosis.action, {sources: book.locations, why: [why]}))
        overlay.heal(name, diagnosis.copy)
        for (const mac of told) unknown.delete(mac)
        break
      }
    }
  }

  return unknown
}

/**
 * New states for the packfiles that only lost ones knew: where plakar's cache says which state had which, one for each;
 * otherwise one for all. What no new one takes the place of goes.
 */
async function rebuild(lost: readonly LostObject[], unknown: ReadonlySet<Mac>, options: StateOptions): Promise<void> {
  const {book, repository, signal} = options
  if (lost.length === 0) {
    if (unknown.size > 0) {
      book.note(
        `${unknown.size} packfiles that no state knows stay as they are: a backup is under way or was broken off. Nothing that is listed needs them.`,
      )
    }

    return
  }

  const {packfiles, snapshots} = await readable(unknown, options)
  const cached = await cachedStates(options)
  const groups = new Map<LostObject, Mac[]>(lost.map((one) => [one, []]))
  const byMac = new Map(lost.map((one) => [one.patient.mac, one]))
  const rest = packfiles.filter((packfile) => {
    const owner = byMac.get(cached?.packfiles.get(packfile))
    if (owner) groups.get(owner)!.push(packfile)
    return !owner
  })
  const target = lost.find(({patient}) => patient.mac && snapshots.has(patient.mac)) ?? lost[0]!
  groups.get(target)!.push(...rest)
  let coloured = cached?.coloured ?? []
  for (const [{patient, reason}, group] of groups) {
    const why = [{message: reason}, ...patient.findings.slice(1)]
    if (group.length > 0 || coloured.length > 0) {
      const parent = patient.mac && cached?.states.get(patient.mac)
      const action = {coloured, kind: 'rebuild-state', packfiles: group.sort(), ...(parent && {parent})} as const
      book.add(draft(patient, action, {sources: book.locations, why}))
      coloured = []
      continue
    }

    if ((await tagStateOf(repository, patient.tag, {signal})) !== 'absent' || isListed(patient)) {
      book.add(draft(patient, {kind: 'remove-tag'}, {sources: book.locations, why}))
    }

    if (packfiles.length === 0) {
      const what = 'no packfile is without a state: what it told of, deletions perhaps, is told by others or lost'
      book.lose({paths: [], reason: `${reason}; ${what}`, snapshots: [], tag: patient.tag})
    }
  }
}

/** What plakar's cache says of the store, when one is among the sources and knows it. */
async function cachedStates({book, keys, signal, sources}: StateOptions): Promise<CachedStates | undefined> {
  for (const source of sources) {
    if (!(source instanceof StateCacheSource)) continue
    const cached = await source.read(keys!.configuration.repositoryId, {signal})
    if (cached) return cached
    book.note(`${source.location}: plakar's cache does not know this store`)
  }

  return undefined
}

/** Its tag was in the list, whatever it leads to. */
function isListed({findings}: Patient): boolean {
  return findings.some(({kind}) => kind !== 'tag-missing')
}

/** Of the packfiles those whose index can be read, and the snapshots that they end. */
async function readable(
  unknown: ReadonlySet<Mac>,
  {book, keys, overlay, signal}: StateOptions,
): Promise<{readonly packfiles: Mac[]; readonly snapshots: ReadonlySet<Mac>}> {
  const packfiles: Mac[] = []
  const snapshots = new Set<Mac>()
  for (const packfile of [...unknown].sort()) {
    try {
      const index = await packfileIndexOf(overlay, packfile, keys!, {signal})
      for (const {mac, type} of index) if (type === BLOB_TYPES.snapshot) snapshots.add(mac)
      packfiles.push(packfile)
    } catch (error) {
      if (
        !(error instanceof KlosetOciError) ||
        !['DAMAGE', 'INTEGRITY', 'NOT_FOUND', 'STORE_FORMAT'].includes(error.code)
      )
        throw error
      book.note(`packfile ${packfile}: its index cannot be read, so no new state can tell of it: ${error.message}`)
    }
  }

  return {packfiles, snapshots}
}
