import {pMapIterable} from 'p-map'

import type {Mac} from '../kloset/mac.js'
import type {BrokenNode, Entry, Filesystem, Snapshot, TreeEntry} from '../kloset/snapshot/index.js'

import {isObjectFault} from '../kloset/faults.js'
import {cleanPath, isDirectory, nameFromShown, notInSnapshot} from '../kloset/snapshot/index.js'

/** Entries read ahead of the one that is worked on. */
const ENTRIES_AT_ONCE = 16

/** No path is deeper: PATH_MAX is 4096, and every level has a slash. */
const MAX_DEPTH = 4096

/** A path of a snapshot whose entry was read, or could not be. */
export interface Found {
  readonly entry: Entry | undefined
  readonly error?: unknown
  /** Of the entry's blob, where the tree could be read. */
  readonly mac: Mac | undefined
  readonly path: string
}

export interface WalkOptions {
  /** How many levels below the path; 1 is a folder's own entries. Default: all. */
  readonly maxDepth?: number | undefined
  /** Takes parts of the tree that cannot be read, and the walk goes on beside them; without it the error is thrown. */
  readonly onBroken?: ((broken: BrokenNode) => void) | undefined
}

/** The folder that was backed up, as far as the tree has it: what plakar lists and restores from. */
export async function rootOf(snapshot: Snapshot, files: Filesystem, source = 0): Promise<string> {
  const root = cleanPath(snapshot.header.sources[source]?.importer.directory ?? '/')
  try {
    return (await files.tree.find(root)) ? root : '/'
  } catch (error) {
    // The way to it is damaged: it is there all the same.
    if (isObjectFault(error)) return root
    throw error
  }
}

/** A path as a person gives it: absolute, or relative to the folder that was backed up. */
export function pathInSnapshot(root: string, path: string): string {
  return cleanPath(path.startsWith('/') ? path : `${root}/${path}`)
}

/**
 * The path in the tree that a person means: as `pathInSnapshot`, and where there is none of that name, as listings show
 * it, with `\xNN` for bytes that no command line can carry.
 */
export async function findPath(files: Filesystem, root: string, text: string): Promise<string> {
  const path = pathInSnapshot(root, text)
  const meant = cleanPath(nameFromShown(path))
  if (meant === path) return path
  try {
    return !(await files.tree.find(path)) && (await files.tree.find(meant)) ? meant : path
  } catch (error) {
    if (isObjectFault(error)) return path
    throw error
  }
}

/** Whether a path is another or lies below it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || folder === '/' || path.startsWith(`${folder}/`)
}

/**
 * An entry and everything below it, by depth and then by bytes: folders before what they hold, with few reads of the
 * tree. Entries that cannot be read are found by their path.
 * @throws NotFoundError when there is no such path, StoreFormatError, and whatever the reader throws
 */
export async function* walkBelow(files: Filesystem, path: string, options: WalkOptions = {}): AsyncGenerator<Found> {
  const start = await lookupFound(files, path)
  yield start
  if (start.entry && !isDirectory(start.entry)) return
  const keys = keysBelow(files, start.path, options)
  const found = pMapIterable(keys, async ({key, value}) => readFound(files, key, value), {
    concurrency: ENTRIES_AT_ONCE,
  })
  yield* found
}

/** The entry at a path, symbolic links not followed. One that cannot be read is found too. @throws NotFoundError */
export async function lookupFound(files: Filesystem, path: string): Promise<Found> {
  const clean = cleanPath(path)
  let mac: Mac | undefined
  try {
    mac = await files.tree.find(clean)
  } catch (error) {
    if (!isObjectFault(error)) throw error
    return {entry: undefined, error, mac, path: clean}
  }

  if (mac) return readFound(files, clean, mac)
  throw notInSnapshot(clean)
}

async function* keysBelow(
  files: Filesystem,
  path: string,
  {maxDepth = MAX_DEPTH, onBroken}: WalkOptions,
): AsyncGenerator<TreeEntry> {
  const prefix = path === '/' ? '/' : `${path}/`
  const told = new Set<Mac>()
  const tell =
    onBroken &&
    ((broken: BrokenNode) => {
      if (told.has(broken.mac)) return
      told.add(broken.mac)
      onBroken(broken)
    })
  // What lies at one depth below a folder lies together; a level that is empty is the last, unless it could not be read.
  const slashes = countSlashes(prefix)
  let empty = 0
  for (let depth = 0; depth < maxDepth && empty < 2; depth++) {
    const before = told.size
    let any = false
    // No name begins with a NUL: nothing of this depth comes before it.
    for await (const found of files.tree.entries(`${prefix}\0${'/'.repeat(depth)}`, tell)) {
      if (!found.key.startsWith(prefix) || countSlashes(found.key) !== slashes + depth) break
      any = true
      yield found
    }

    if (any) empty = 0
    else empty += told.size > before ? 1 : 2
  }
}

function countSlashes(path: string): number {
  let count = 0
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) count += 1
  return count
}

async function readFound(files: Filesystem, path: string, mac: Mac): Promise<Found> {
  try {
    return {entry: await files.entry(mac, path), mac, path}
  } catch (error) {
    if (!isObjectFault(error)) throw error
    return {entry: undefined, error, mac, path}
  }
}
