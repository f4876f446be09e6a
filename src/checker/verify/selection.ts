import type {Mac} from '../../kloset/mac.js'

import {InvalidArgumentError} from '../../errors.js'
import {isMac} from '../../kloset/mac.js'
import {meaningOf} from '../../kloset/resource.js'

/** One of `count` parts, from 1 on. */
export interface Part {
  readonly count: number
  readonly index: number
}

/** Which packfiles a run looks at. Everything else (configuration, states, locks) it looks at in any case. */
export interface Selection {
  /** Packfiles named one by one. */
  readonly macs?: ReadonlySet<Mac> | undefined
  /** Bytes of packfiles after which no other is begun. */
  readonly maxBytes?: number | undefined
  /** Milliseconds after which no other packfile is begun. */
  readonly maxDuration?: number | undefined
  /** So many in a hundred, those first that were not looked at for longest. */
  readonly percent?: number | undefined
  /** One of several runs that share the work. */
  readonly shard?: Part | undefined
  /** Written since then, in milliseconds since the epoch; those of which that is not known as well. */
  readonly since?: number | undefined
  /** What these snapshots need: their identifiers, or how those begin. */
  readonly snapshots?: readonly string[] | undefined
  /** A part of the store that is the same in every run. */
  readonly subset?: Part | undefined
}

/** A name's first 48 bits decide: two billion parts are still even. */
const PART_DIGITS = 12

const MAX_PARTS = 2 ** 31

/** @throws InvalidArgumentError unless it is `n/m` with 1 <= n <= m */
export function parsePart(text: string, what: string): Part {
  const [, index, count] = /^(\d{1,10})\/(\d{1,10})$/.exec(text) ?? []
  const part = {count: Number(count), index: Number(index)}
  if (index !== undefined && part.index >= 1 && part.index <= part.count && part.count <= MAX_PARTS) return part
  throw new InvalidArgumentError(`${what}: "${text.slice(0, 40)}" is no part of a whole`, {
    suggestions: ['Give n/m: the n-th of m parts, from 1/m to m/m.'],
  })
}

/** The names in a list, one a line: MACs or tags of packfiles. Empty lines and what follows a # are left out. */
export function parseNames(text: string): ReadonlySet<Mac> {
  const macs = new Set<Mac>()
  for (const [number, line] of text.split('\n').entries()) {
    const name = line.replace(/#.*/, '').trim()
    if (name === '') continue
    const meaning = meaningOf(name)
    const mac = meaning.kind === 'object' ? meaning.mac : name.toLowerCase()
    if (isMac(mac) && (meaning.kind === 'foreign' || (meaning.kind === 'object' && meaning.resource === 'packfile'))) {
      macs.add(mac)
    } else if (meaning.kind === 'foreign') {
      throw new InvalidArgumentError(`line ${number + 1}: "${name.slice(0, 80)}" is neither a MAC nor a tag of a store`)
    }
  }

  return macs
}

/** Whether a packfile belongs to a part. Shards and subsets go by different digits, so that both can be had at once. */
function isIn({count, index}: Part, mac: Mac, offset: number): boolean {
  return Number.parseInt(mac.slice(offset, offset + PART_DIGITS), 16) % count === index - 1
}

/** Whether a packfile is among those that were named or belong to the parts that were asked for. */
export function isSelected({macs, shard, subset}: Selection, mac: Mac): boolean {
  if (macs && !macs.has(mac)) return false
  if (subset && !isIn(subset, mac, 0)) return false
  return !shard || isIn(shard, mac, PART_DIGITS)
}
