import {InvalidArgumentError} from '../errors.js'

const UNITS: Readonly<Record<string, number>> = {
  d: 24 * 60 * 60 * 1000,
  h: 60 * 60 * 1000,
  m: 60 * 1000,
  s: 1000,
  w: 7 * 24 * 60 * 60 * 1000,
}

/**
 * A moment in milliseconds since the epoch: a date, a date with a time (UTC unless it says otherwise), or so long before
 * now (`36h`, `7d`).
 * @throws InvalidArgumentError
 */
export function parseMoment(flag: string, text: string, now: number): number {
  const [, count, unit] = /^(\d{1,9})([dhmsw])$/.exec(text) ?? []
  if (count !== undefined && unit !== undefined) return now - Number(count) * UNITS[unit]!
  const [, date, time, zone] =
    /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text) ?? []
  const moment = date === undefined ? Number.NaN : Date.parse(`${date}T${time ?? '00:00'}${zone ?? 'Z'}`)
  if (!Number.isNaN(moment)) return moment
  throw new InvalidArgumentError(`${flag}: "${text.slice(0, 80)}" is no moment`, {
    suggestions: ['Write 2026-01-31, 2026-01-31T12:00:00Z, or how long ago: 36h, 7d, 2w.'],
  })
}
