import {stripVTControlCharacters} from 'node:util'
import stringWidth from 'string-width'

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const

/** A size in bytes as plakar writes it: `969 KiB`, `1.9 MiB`, `17 B`. */
export function humanSize(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }

  // 1023.96 KiB would be written as 1024 KiB: it belongs to the next unit.
  if (unit > 0 && unit < UNITS.length - 1 && Math.round(value) >= 1024) {
    value /= 1024
    unit++
  }

  const text = unit > 0 && value < 9.95 ? value.toFixed(1) : String(Math.round(value))
  return `${text} ${UNITS[unit]}`
}

/** A whole number with thousands apart: `100,000`. By hand: to load the tables of languages takes as long as a request. */
export function humanCount(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',')
}

/** `1 object`, `2 objects`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${humanCount(count)} ${count === 1 ? one : many}`
}

/** A span of time in its two largest units: `45s`, `12m 03s`, `3h 20m`, `5d 4h`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  if (minutes === 0) return `${seconds}s`
  if (hours === 0) return `${minutes}m ${two(seconds % 60)}s`
  if (hours < 24) return `${hours}h ${two(minutes % 60)}m`
  return `${Math.floor(hours / 24)}d ${hours % 24}h`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

export interface Column {
  readonly align?: 'left' | 'right'
}

/**
 * Rows as aligned lines, two spaces between columns, no spaces at a line's end.
 * A cell may carry colour: only what is seen counts for its width.
 */
export function table(rows: readonly (readonly string[])[], columns: readonly Column[] = []): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, widthOf(cell))
  }

  return rows.map((row) => {
    const cells = row.map((cell, index) => {
      const padding = ' '.repeat((widths[index] ?? 0) - widthOf(cell))
      return columns[index]?.align === 'right' ? padding + cell : cell + padding
    })
    return cells.join('  ').trimEnd()
  })
}

/** What is seen of nearly every cell is ASCII: that needs no tables of the world's characters. */
function widthOf(cell: string): number {
  const seen = stripVTControlCharacters(cell)
  return /^[ -~]*$/.test(seen) ? seen.length : stringWidth(cell)
}

const SHORT_MAC = 12

/** The fewest digits, 12 or more, that tell these MACs apart. */
export function shortMacLength(macs: Iterable<string>): number {
  const all = [...new Set(macs)].sort()
  let length = SHORT_MAC
  for (let index = 1; index < all.length; index++) {
    const [previous, current] = [all[index - 1] ?? '', all[index] ?? '']
    let common = 0
    while (common < current.length && current[common] === previous[common]) common++
    length = Math.max(length, common + 1)
  }

  return length
}

/** Quotes a word for a POSIX shell where it needs it, so that a printed command can be pasted. */
export function shellWord(word: string): string {
  return /^[\w%+,./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** A command line to paste: `kloset-oci gc-check oci://host/repo --deep`. */
export function shellCommand(...words: readonly string[]): string {
  return words.map((word) => shellWord(word)).join(' ')
}
