import type {Entry} from '../kloset/snapshot/index.js'

import {isPlainName, kindOfMode, nameToBytes, permissionsOfMode} from '../kloset/snapshot/index.js'
import {formatTimestamp} from '../kloset/timestamp.js'
import {humanSize} from './format.js'

/** An entry of a snapshot as `--json` has it. */
export interface EntryJson {
  readonly gid: number
  readonly group?: string | undefined
  readonly kind: string
  /** Permissions in octal digits. */
  readonly mode: string
  readonly mtime: string
  readonly nlink: number
  /** Safe to show: bytes that are not UTF-8 are `\xNN`. */
  readonly path: string
  /** The path's bytes in base64, where it is not UTF-8. */
  readonly pathBytes?: string | undefined
  readonly size: number
  readonly target?: string | undefined
  readonly uid: number
  readonly user?: string | undefined
}

export function entryJson({info, path, symlinkTarget}: Entry): EntryJson {
  const kind = kindOfMode(info.mode)
  return {
    ...pathJson(path),
    gid: info.gid,
    group: info.group || undefined,
    kind,
    mode: permissionsOfMode(info.mode).toString(8).padStart(4, '0'),
    mtime: formatTimestamp(info.modTime),
    nlink: info.nlink,
    size: info.size,
    uid: info.uid,
    user: info.user || undefined,
    ...(kind === 'symlink' && {target: shownPath(symlinkTarget)}),
  }
}

export function pathJson(path: string): Pick<EntryJson, 'path' | 'pathBytes'> {
  return {path: shownPath(path), ...(!isPlainName(path) && {pathBytes: nameToBytes(path).toString('base64')})}
}

/** A name as it may be printed: control characters and bytes that are not UTF-8 are escaped. */
export function shownPath(path: string): string {
  return path
    .replaceAll(/[\uDC80-\uDCFF]/gu, (unit) => hex(nameToBytes(unit)[0]!))
    .replaceAll(/[\u0000-\u001F\u007F-\u009F]/g, (unit) => hex(unit.codePointAt(0)!)) // eslint-disable-line no-control-regex -- these are what it is about
    .replaceAll(/[\u202A-\u202E\u2066-\u2069]/g, (unit) => `\\u${unit.codePointAt(0)!.toString(16)}`)
}

/** `drwxr-xr-x`, as ls writes it. */
export function modeText(mode: number): string {
  const permissions = permissionsOfMode(mode)
  const letters = [...'rwxrwxrwx'].map((letter, at) => (bit(permissions, 8 - at) ? letter : '-'))
  for (const [at, set, place, letter] of [
    [11, 2, 's', 's'],
    [10, 5, 's', 's'],
    [9, 8, 't', 't'],
  ] as const) {
    if (bit(permissions, at)) letters[set] = letters[set] === 'x' ? place : letter.toUpperCase()
  }

  return `${KIND_LETTERS[kindOfMode(mode)] ?? '?'}${letters.join('')}`
}

/** One line of a listing: mode, owner, size, time, name. */
export function entryCells(entry: Entry, name: string): string[] {
  const {info, symlinkTarget} = entry
  const link = kindOfMode(info.mode) === 'symlink' ? ` -> ${shownPath(symlinkTarget)}` : ''
  return [
    modeText(info.mode),
    info.user || String(info.uid),
    info.group || String(info.gid),
    humanSize(info.size),
    formatTimestamp({...info.modTime, nanoseconds: 0}),
    `${shownPath(name)}${link}`,
  ]
}

const KIND_LETTERS: Readonly<Record<string, string>> = {
  'character-device': 'c',
  device: 'b',
  directory: 'd',
  file: '-',
  pipe: 'p',
  socket: 's',
  symlink: 'l',
}

function bit(value: number, place: number): boolean {
  return Math.floor(value / 2 ** place) % 2 === 1
}

function hex(byte: number): string {
  return String.raw`\x${byte.toString(16).padStart(2, '0')}`
}
