import type {Entry, Filesystem} from '../kloset/snapshot/index.js'
import type {Found} from './selection.js'

import {comparePaths, kindOfMode} from '../kloset/snapshot/index.js'
import {timestampToNanos} from '../kloset/state.js'
import {walkBelow} from './selection.js'

/** `unknown`: one of the two entries cannot be read. */
export type ChangeKind = 'added' | 'changed' | 'metadata' | 'removed' | 'unknown'

/** One path that two snapshots do not have alike. */
export interface Change {
  readonly after?: Entry | undefined
  readonly before?: Entry | undefined
  readonly kind: ChangeKind
  /** Relative to the folders that are compared: `.` for these themselves. */
  readonly path: string
  /** What differs: `content`, `kind`, `mode`, `owner`, `size`, `target`, `time`. */
  readonly what: readonly string[]
}

export interface Side {
  readonly files: Filesystem
  /** The folder to compare. */
  readonly path: string
}

/**
 * What differs between two folders of snapshots, by depth and then by bytes, in one pass over both. Contents are
 * compared by the MACs of their objects: no content is read.
 * @throws NotFoundError when there is no such folder, and what the reader throws
 */
export async function* diffSnapshots(before: Side, after: Side): AsyncGenerator<Change> {
  const [left, right] = [before, after].map(({files, path}) => walkBelow(files, path)) as [Walk, Walk]
  let [one, two] = [await next(left), await next(right)]
  try {
    while (one ?? two) {
      const [leftPath, rightPath] = [one && below(before.path, one.path), two && below(after.path, two.path)]
      const order = orderOf(leftPath, rightPath)
      if (order < 0) {
        yield change('removed', leftPath!, {before: one!.entry})
        one = await next(left)
      } else if (order > 0) {
        yield change('added', rightPath!, {after: two!.entry})
        two = await next(right)
      } else {
        const found = compare(leftPath!, one!, two!)
        if (found) yield found
        ;[one, two] = [await next(left), await next(right)]
      }
    }
  } finally {
    await left.return(undefined) // eslint-disable-line unicorn/no-useless-undefined -- it takes one
    await right.return(undefined) // eslint-disable-line unicorn/no-useless-undefined -- it takes one
  }
}

type Walk = AsyncGenerator<Found>

async function next(walk: Walk): Promise<Found | undefined> {
  const {done, value} = await walk.next()
  return done ? undefined : value
}

/** As if the folder were the root, so that both are in the same order. */
function below(folder: string, path: string): string {
  if (path === folder) return '/'
  return folder === '/' ? path : path.slice(folder.length)
}

function orderOf(left: string | undefined, right: string | undefined): number {
  if (left === undefined) return 1
  if (right === undefined) return -1
  if (left === '/' || right === '/') return left === right ? 0 : left === '/' ? -1 : 1
  return comparePaths(left, right)
}

function change(kind: ChangeKind, path: string, sides: Pick<Change, 'after' | 'before'>, what: string[] = []): Change {
  return {...sides, kind, path: path === '/' ? '.' : path.slice(1), what}
}

function compare(path: string, one: Found, two: Found): Change | undefined {
  if (one.mac !== undefined && one.mac === two.mac) return undefined
  const [before, after] = [one.entry, two.entry]
  if (!before || !after) return change('unknown', path, {after, before})
  const what = differences(before, after)
  if (what.length === 0) return undefined
  const isContent = what.some((one) => CONTENT.has(one))
  return change(isContent ? 'changed' : 'metadata', path, {after, before}, what)
}

const CONTENT = new Set(['content', 'kind', 'size', 'target'])

function differences(before: Entry, after: Entry): string[] {
  const [one, two] = [before.info, after.info]
  const isFile = kindOfMode(one.mode) === 'file'
  const all: Readonly<Record<string, boolean>> = {
    content: before.object !== after.object,
    kind: kindOfMode(one.mode) !== kindOfMode(two.mode),
    mode: one.mode !== two.mode,
    owner: one.uid !== two.uid || one.gid !== two.gid,
    size: isFile && one.size !== two.size,
    target: before.symlinkTarget !== after.symlinkTarget,
    time: timestampToNanos(one.modTime) !== timestampToNanos(two.modTime),
  }
  return Object.keys(all).filter((name) => all[name])
}
