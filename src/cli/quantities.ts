import {InvalidArgumentError} from '../errors.js'

const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  g: 1024 ** 3,
  gb: 1e9,
  gib: 1024 ** 3,
  k: 1024,
  kb: 1e3,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1e6,
  mib: 1024 ** 2,
  t: 1024 ** 4,
  tb: 1e12,
  tib: 1024 ** 4,
}

const MILLISECONDS: Readonly<Record<string, number>> = {
  d: 24 * 60 * 60 * 1000,
  h: 60 * 60 * 1000,
  m: 60 * 1000,
  ms: 1,
  s: 1000,
  w: 7 * 24 * 60 * 60 * 1000,
}

/** A size as people write it: `500MiB`, `2G`, `1.5TB`, or bytes. @throws InvalidArgumentError */
export function parseBytes(text: string, flag: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const factor = BYTES[unit?.toLowerCase() ?? '?']
  if (number !== undefined && factor !== undefined) return Math.floor(Number(number) * factor)
  throw new InvalidArgumentError(`${flag}: "${text.slice(0, 40)}" is no size`, {
    suggestions: ['Write a number and its unit: 500MiB, 20GB, 1T.'],
  })
}

/** A time as people write it, in milliseconds: `90m`, `2h30m`, `30d`. @throws InvalidArgumentError */
export function parseDuration(text: string, flag: string): number {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)(ms|[dhmsw])/g)]
  if (parts.length > 0 && parts.map(([part]) => part).join('') === text.trim()) {
    return parts.reduce((sum, [, number, unit]) => sum + Number(number) * MILLISECONDS[unit!]!, 0)
  }

  throw new InvalidArgumentError(`${flag}: "${text.slice(0, 40)}" is no length of time`, {
    suggestions: ['Write numbers and units: 45m, 2h30m, 30d.'],
  })
}

/**
 * A moment, in milliseconds since the epoch: RFC 3339, a date, or how long ago (`7d`).
 * @throws InvalidArgumentError
 */
export function parseMoment(text: string, {flag, now}: {readonly flag: string; readonly now: number}): number {
  const trimmed = text.trim()
  if (/^\d{4}-\d{2}-\d{2}/.test(trimmed)) {
    const moment = Date.parse(trimmed)
    if (!Number.isNaN(moment)) return moment
  } else if (/^[\d.]+[a-z]/.test(trimmed)) {
    return now - parseDuration(trimmed, flag)
  }

  throw new InvalidArgumentError(`${flag}: "${text.slice(0, 40)}" is no moment`, {
    suggestions: ['Write a date (2026-01-31), a time (2026-01-31T12:00:00Z), or how long ago it was (7d).'],
  })
}
