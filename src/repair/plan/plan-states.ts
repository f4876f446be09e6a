import {Readable} from 'node:stream'

import type {Finding} from '../../checker/findings.js'
import type {Mac} from '../../kloset/mac.js'
import type {Clock} from '../../util/clock.js'
import type {PlanContext} from './context.js'
import type {Patient} from './heal.js'
import type {LostObject, Outcome} from './plan-objects.js'

import {gcCheck} from '../../checker/gc-check.js'
import {KlosetOciError} from '../../errors.js'
import {BLOB_TYPES} from '../../kloset/blob-type.js'
import {StoreContents} from '../../kloset/contents.js'
import {KlosetStore} from '../../kloset/store.js'
import {digestOf} from '../../registry/digest.js'
import {packfileIndexOf} from '../packfile-access.js'
import {type CachedStates, StateCacheSource} from '../sources/cache-source.js'
import {rebuiltState} from '../state-builder.js'
import {readStateFacts} from '../state-facts.js'
import {tagStateOf} from '../tag-state.js'
import {draft} from './draft.js'
import {diagnose} from './heal.js'
import {NeededStates} from './needed-states.js'
import {planObjects} from './plan-objects.js'

/** A healed state may tell of further lost objects, among them states: so often is looked again. */
const MAX_ROUNDS = 8

export interface StateOptions extends PlanContext {
  readonly clock: Clock
  /** Every byte was read: then it is also looked whether all that snapshots refer to is there. */
  readonly deep: boolean
}

/** What nothing brings back as it was. */
export interface Lost {
  /** Snapshots need blobs that no state places anywhere. */
  readonly hasUntold: boolean
  /** Packfiles and CONFIG. */
  readonly objects: readonly LostObject[]
  /** States, also those that a new one is made for: it tells only of the packfiles that are left. */
  readonly states: readonly LostState[]
}

export interface LostState extends LostObject {
  readonly isRebuilt: boolean
}

/**
 * Plans for states: what the healed ones tell of is looked for as well; packfiles that only lost ones knew are told of
 * by the sources' states, or by a new one that is made of their indexes.
 * @param first what became of the objects that the check found damaged
 */
export async function planStates(findings: readonly Finding[], first: Outcome, options: StateOptions): Promise<Lost> {
  const {keys, overlay} = options
  const lost = first.lost.filter(({patient}) => patient.resource !== 'state')
  const lostStates = new Map(
    first.lost.filter(({patient}) => patient.resource === 'state').map((one) => [one.patient.tag, one]),
  )
  let unknown = unknownIn(findings)
  if (!keys?.codec) {
    loseStates(lostStates.values(), 'and without the passphrase no new one can be made', options)
    return {hasUntold: false, objects: lost, states: []}
  }

  const seen = new Set([...first.healed.map(({tag}) => tag), ...first.lost.map(({patient}) => patient.tag)])
  const needed = new NeededStates(options)
  let outcome = first
  for (let round = 0; round < MAX_ROUNDS; round++) {
    for (const {patient} of outcome.lost) if (patient.resource === 'state') overlay.hide(patient.tag)
    const changesStates = [...outcome.healed, ...outcome.lost.map(({patient}) => patient)].some(
      ({resource}) => resource === 'state',
    )
    if (!changesStates) {
      const {size} = unknown
      unknown = await fromSources(unknown, options)
      if (unknown.size === size && !(options.deep && (await needed.bring()))) break
    }

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

  const states = [...lostStates.values()]
  if (states.length > 0) for await (const mac of untagged(options)) unknown.add(mac)
  return {hasUntold: needed.areMissing, objects: lost, states: await rebuild(states, unknown, options)}
}

/**
 * Packfiles that have lost their tags, and that no state knows: a lost one may have. They get their tags back.
 * @yields their MACs
 */
async function* untagged(options: StateOptions): AsyncGenerator<Mac> {
  const {book, keys, overlay, repository, self, signal} = options
  const contents = await StoreContents.open(new KlosetStore(overlay), {secret: keys!.secret, signal})
  try {
    for await (const name of self.packfiles({signal})) {
      if (name.mac === undefined || contents.index.packfile(name.mac)) continue
      if ((await tagStateOf(overlay, name.tag, {signal})) !== 'absent') continue
      await book.rely(repository, name.tag, signal)
      const diagnosis = await diagnose({...name, findings: []}, options)
      if (diagnosis.kind !== 'heal') continue
      const message = `${name.tag}: has no tag, and no state knows it: the one that is lost may have`
      book.add(draft(name, diagnosis.action, {sources: book.locations, why: [{message}]}))
      overlay.heal(name, diagnosis.copy)
      yield name.mac
    }
  } finally {
    contents.close()
  }
}

async function checkAgain({clock, concurrency, keys, overlay, signal}: StateOptions): Promise<Finding[]> {
  const findings: Finding[] = []
  const check = gcCheck(overlay, {clock, concurrency, deep: false, secret: keys?.secret, signal})
  for await (const finding of check) {
    if (finding.kind === 'tag-missing' || finding.kind === 'packfile-unknown') findings.push(finding)
  }

  return findings
}

function unknownIn(findings: readonly Finding[]): Set<Mac> {
  return new Set(findings.flatMap(({kind, object}) => (kind === 'packfile-unknown' && object?.mac ? [object.mac] : [])))
}

function loseStates(states: Iterable<LostObject>, why: string, {book}: StateOptions): void {
  for (const {patient, reason} of states) {
    book.lose({paths: [], reason: `${reason}; no copy was found, ${why}`, snapshots: 'unknown', tag: patient.tag})
  }
}

/**
 * States of the sources that the store has not, and that tell of packfiles which nothing in the store knows.
 * @returns the packfiles that still nothing knows
 */
async function fromSources(packfiles: ReadonlySet<Mac>, options: StateOptions): Promise<Set<Mac>> {
  const unknown = new Set(packfiles)
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
async function rebuild(
  lost: readonly LostObject[],
  unknown: ReadonlySet<Mac>,
  options: StateOptions,
): Promise<LostState[]> {
  const {book, keys, now, overlay, repository, signal} = options
  if (lost.length === 0) {
    if (unknown.size > 0) {
      book.note(
        `${unknown.size} packfiles that no state knows stay as they are: a backup is under way or was broken off. Nothing that is listed needs them.`,
      )
    }

    return []
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
  const states: LostState[] = []
  for (const [one, group] of groups) {
    const {patient, reason} = one
    const why = [{message: reason}, ...patient.findings.slice(1)]
    if (group.length > 0 || coloured.length > 0) {
      const parent = patient.mac && cached?.states.get(patient.mac)
      const action = {coloured, kind: 'rebuild-state', packfiles: group.sort(), ...(parent && {parent})} as const
      book.add(draft(patient, action, {sources: book.locations, why}))
      coloured = []
      // What it costs that more was lost than the state is seen in the store as it will be.
      const bytes = await rebuiltState(overlay, {action, created: now, keys: keys!, mac: patient.mac!, signal})
      const open = async () => Readable.from([bytes])
      overlay.heal(patient, {digest: digestOf(bytes), name: patient.tag, open, size: bytes.length})
      states.push({...one, isRebuilt: true})
      continue
    }

    if ((await tagStateOf(repository, patient.tag, {signal})) !== 'absent' || isListed(patient)) {
      book.add(draft(patient, {kind: 'remove-tag'}, {sources: book.locations, why}))
    }

    if (packfiles.length === 0) states.push({...one, isRebuilt: false})
  }

  return states
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
