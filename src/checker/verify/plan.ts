import {randomInt} from 'node:crypto'

import type {Mac} from '../../kloset/mac.js'
import type {Repository} from '../../registry/interfaces.js'
import type {StateBook} from '../state-book.js'
import type {TagTable} from '../tag-table.js'
import type {Ledger} from './ledger.js'
import type {Tier} from './tier.js'

import {isNotFound, NotFoundError} from '../../errors.js'
import {isObjectFault} from '../../kloset/faults.js'
import {readObjectManifest} from '../../kloset/object-manifest.js'
import {timestampToMillis} from '../../kloset/timestamp.js'
import {ANNOTATION} from '../../registry/media-types.js'
import {isSelected, type Selection} from './selection.js'

/** So far apart the clocks of two machines may be. */
const CLOCKS_DIFFER_MS = 60 * 60 * 1000

export interface PlanOptions {
  readonly book: StateBook
  readonly ledger: Ledger | undefined
  /** How long a packfile that was found sound needs no other look, in milliseconds; default for ever. */
  readonly maxAge: number | undefined
  /** Packfiles that the chosen snapshots need. */
  readonly needed: ReadonlySet<Mac> | undefined
  readonly now: number
  readonly repository: Repository
  readonly selection: Selection
  readonly signal: AbortSignal | undefined
  readonly tags: TagTable
  readonly tier: Tier
}

/** Which packfiles to look at, in which order. */
export interface Plan {
  /** Numbers of their tags. */
  readonly order: readonly number[]
  /** Packfiles that were asked for and that the ledger says were found sound. */
  readonly sound: number
  /** Packfiles of the store that were not asked for. */
  readonly unasked: number
  /** Names that were given and that no packfile has. */
  readonly unknownNames: number
}

/** @throws NotFoundError when names or snapshots were given and no packfile is among them */
export async function planPackfiles(options: PlanOptions): Promise<Plan> {
  const {ledger, selection, tags} = options
  const {macs, maxBytes, maxDuration, percent} = selection
  const asked: number[] = []
  let unasked = 0
  let named = 0
  for (let index = 0; index < tags.size; index++) {
    const subject = tags.subject(index)
    if (subject?.resource !== 'packfile') continue
    const mac = subject.mac!
    if (macs?.has(mac)) named += 1
    if (isSelected(selection, mac) && (await isWanted(mac, subject.tag, options))) asked.push(index)
    else unasked += 1
  }

  if (macs && named === 0) {
    throw new NotFoundError(`no packfile of the store is among the ${macs.size} that were named`, {
      suggestions: ['Names are MACs or tags of packfiles, one a line, as `ls packfile` prints them.'],
    })
  }

  const due = asked.filter((index) => isDue(tags.subject(index)!.tag, options))
  // Who looks at a part of the store only should not look at the same part every time.
  const mixes = percent !== undefined || maxBytes !== undefined || maxDuration !== undefined
  const ordered = ledger ? byNeed(mixes ? shuffled(due) : due, options) : mixes ? shuffled(due) : due
  const share = percent === undefined ? asked.length : Math.ceil((asked.length * percent) / 100)
  return {
    order: ordered.slice(0, share),
    sound: asked.length - due.length,
    unasked: unasked + Math.max(0, ordered.length - share),
    unknownNames: macs ? macs.size - named : 0,
  }
}

/** What a plan leaves out, in sentences. */
export function leftOut({sound, unasked, unknownNames}: Plan): string[] {
  return [
    ...(unasked > 0 ? [`${unasked} packfiles: they were not asked for`] : []),
    ...(unknownNames > 0 ? [`${unknownNames} names that were given: no packfile has them`] : []),
    ...(sound > 0 ? [`${sound} packfiles: found sound earlier, as the ledger says`] : []),
  ]
}

/** Damage that stands first, then what was never looked at, then the longest ago. */
function byNeed(indexes: readonly number[], {ledger, now, tags, tier}: PlanOptions): number[] {
  const rank = new Map(
    indexes.map((index) => {
      const {tag} = tags.subject(index)!
      const sound = ledger!.soundAt(tag, tier) ?? 0
      return [index, ledger!.of(tag)?.bad ? -1 : isAhead(sound, now) ? 0 : sound]
    }),
  )
  return [...indexes].sort((a, b) => rank.get(a)! - rank.get(b)!)
}

/** Whether the ledger has no word of it, or too old a one, or one of a clock that was ahead and so tells no age. */
function isDue(tag: string, {ledger, maxAge, now, tier}: PlanOptions): boolean {
  if (!ledger || ledger.of(tag)?.bad) return true
  const sound = ledger.soundAt(tag, tier)
  return sound === undefined || (maxAge !== undefined && (now - sound > maxAge || isAhead(sound, now)))
}

function isAhead(time: number, now: number): boolean {
  return time - now > CLOCKS_DIFFER_MS
}

async function isWanted(
  mac: Mac,
  tag: string,
  {book, needed, repository, selection: {since}, signal}: PlanOptions,
): Promise<boolean> {
  if (needed && !needed.has(mac)) return false
  if (since === undefined) return true
  const known = book.timeOf(mac)
  if (known) return timestampToMillis(known) >= since
  try {
    const {annotations} = readObjectManifest(await repository.manifests.get(tag, {signal}), tag)
    const created = Date.parse(annotations[ANNOTATION.created] ?? '')
    return Number.isNaN(created) || created >= since
  } catch (error) {
    if (isNotFound(error) || isObjectFault(error)) return true
    throw error
  }
}

function shuffled(indexes: readonly number[]): number[] {
  const mixed = [...indexes]
  for (let at = mixed.length - 1; at > 0; at--) {
    const other = randomInt(at + 1)
    ;[mixed[at], mixed[other]] = [mixed[other]!, mixed[at]!]
  }

  return mixed
}
