import {isUtf8} from 'node:buffer'

/**
 * File names are bytes, mostly UTF-8 and not always. Here they are strings from which the bytes can be had back: a byte
 * that is not part of valid UTF-8 becomes the lone surrogate U+DC80 to U+DCFF, which no valid UTF-8 gives.
 * @see https://peps.python.org/pep-0383/ , where the same is done
 */

const ESCAPE_BASE = 0xdc_00
const FIRST_ESCAPE = 0xdc_80
const LAST_ESCAPE = 0xdc_ff
const FIRST_HIGH_SURROGATE = 0xd8_00
const LAST_HIGH_SURROGATE = 0xdb_ff

/** An empty part, one of dots, or a slash at the end. */
const UNCLEAN = /\/(?:\.{0,2})(?:\/|$)/

const LONE_SURROGATE = /\p{Surrogate}/u

/** Strings in which UTF-16 units sort otherwise than bytes do. */
const UNEVEN = /[\uD800-\uFFFF]/

/** A name of bytes as a string. */
export function nameFromBytes(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  let name = ''
  for (let at = 0; at < bytes.length;) {
    const size = sequenceAt(bytes, at)
    name += size === 0 ? String.fromCodePoint(ESCAPE_BASE + bytes[at]!) : bytes.toString('utf8', at, at + size)
    at += Math.max(1, size)
  }

  return name
}

/** A name out of what is shown of it: `\xNN` stands for a byte, `\uNNNN` for a sign that would turn the text around. */
export function nameFromShown(text: string): string {
  const parts = text.split(/(\\x[\da-f]{2}|\\u20[\da-f]{2})/)
  return nameFromBytes(Buffer.concat(parts.map((part, at) => (at % 2 === 0 ? nameToBytes(part) : bytesOfEscape(part)))))
}

/** The bytes of a name: what a file system is given. */
export function nameToBytes(name: string): Buffer {
  const parts: Buffer[] = []
  let plain = 0
  for (let at = 0; at < name.length; at++) {
    // A pair's second half is no escape.
    const unit = unitAt(name, at)
    if (unit >= FIRST_HIGH_SURROGATE && unit <= LAST_HIGH_SURROGATE) {
      at += 1
      continue
    }

    if (unit < FIRST_ESCAPE || unit > LAST_ESCAPE) continue
    parts.push(Buffer.from(name.slice(plain, at)), Buffer.from([unit - ESCAPE_BASE]))
    plain = at + 1
  }

  return parts.length === 0 ? Buffer.from(name) : Buffer.concat([...parts, Buffer.from(name.slice(plain))])
}

/** Whether a name is valid UTF-8, so that it may be shown and put into JSON as it is. */
export function isPlainName(name: string): boolean {
  return !LONE_SURROGATE.test(name)
}

/** Compares as Go compares strings: byte by byte. */
export function compareBytes(a: string, b: string): number {
  if (a === b) return 0
  if (UNEVEN.test(a) || UNEVEN.test(b)) return Buffer.compare(nameToBytes(a), nameToBytes(b))
  return a < b ? -1 : 1
}

/** The order of a snapshot's files: by depth, then byte by byte. @see kloset snapshot/vfs/vfs.go `PathCmp` */
export function comparePaths(a: string, b: string): number {
  return slashes(a) - slashes(b) || compareBytes(a, b)
}

/** The path of a name in a folder. */
export function joinPath(parent: string, name: string): string {
  if (name === '/') return '/'
  return parent.endsWith('/') ? parent + name : `${parent}/${name}`
}

/** An absolute path without empty, `.` and `..` parts, which is how the tree has it. */
export function cleanPath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }

  return `/${parts.join('/')}`
}

/** Whether a path is absolute and clean. */
export function isCleanPath(path: string): boolean {
  return path === '/' || (path.startsWith('/') && !UNCLEAN.test(path))
}

function bytesOfEscape(escape: string): Buffer {
  const value = Number.parseInt(escape.slice(2), 16)
  return escape[1] === 'x' ? Buffer.from([value]) : Buffer.from(String.fromCodePoint(value))
}

/** Bytes of the valid UTF-8 sequence at a place; 0 when there is none. */
function sequenceAt(bytes: Buffer, at: number): number {
  for (let size = 1; size <= 4 && at + size <= bytes.length; size++) {
    if (isUtf8(bytes.subarray(at, at + size))) return size
  }

  return 0
}

function slashes(path: string): number {
  let count = 0
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) count += 1
  return count
}

function unitAt(text: string, at: number): number {
  // eslint-disable-next-line unicorn/prefer-code-point -- units are what is looked for
  return text.charCodeAt(at)
}
