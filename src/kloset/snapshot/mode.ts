/* eslint-disable no-bitwise -- modes are bits */

/** Kinds of entry. */
export type EntryKind =
  'character-device' | 'device' | 'directory' | 'file' | 'irregular' | 'pipe' | 'socket' | 'symlink'

/** Go's bits of a mode, which differ from those of Unix. @see https://pkg.go.dev/io/fs#FileMode */
const DIRECTORY = 0x80_00_00_00
const SYMLINK = 0x08_00_00_00
const DEVICE = 0x04_00_00_00
const PIPE = 0x02_00_00_00
const SOCKET = 0x01_00_00_00
const SETUID = 0x00_80_00_00
const SETGID = 0x00_40_00_00
const CHARACTER_DEVICE = 0x00_20_00_00
const STICKY = 0x00_10_00_00
const IRREGULAR = 0x00_08_00_00
const PERMISSIONS = 0o777

/** What an entry is, by its mode. */
export function kindOfMode(mode: number): EntryKind {
  if (mode & DIRECTORY) return 'directory'
  if (mode & SYMLINK) return 'symlink'
  if (mode & DEVICE) return mode & CHARACTER_DEVICE ? 'character-device' : 'device'
  if (mode & PIPE) return 'pipe'
  if (mode & SOCKET) return 'socket'
  return mode & IRREGULAR ? 'irregular' : 'file'
}

/** The permissions of a mode as chmod takes them: up to 0o7777. */
export function permissionsOfMode(mode: number): number {
  return (
    (mode & PERMISSIONS) | (mode & SETUID ? 0o4000 : 0) | (mode & SETGID ? 0o2000 : 0) | (mode & STICKY ? 0o1000 : 0)
  )
}
