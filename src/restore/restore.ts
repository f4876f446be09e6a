import {pMapIterable} from 'p-map'

import type {CallOptions} from '../registry/interfaces.js'

import {isNotFound, NotFoundError} from '../errors.js'
import {type StoreContents} from '../kloset/contents.js'
import {
  type BrokenNode,
  type Entry,
  type Filesystem,
  isDirectory,
  kindOfMode,
  type Snapshot,
} from '../kloset/snapshot/index.js'
import {throwIfAborted} from '../util/abort.js'
import {ContentReader} from './content.js'
import {type ExistingPolicy, FileRestorer, type Outcome} from './file-restorer.js'
import {FolderList} from './folder-list.js'
import {HardLinks} from './hard-links.js'
import {byPlace, type Located, type PlaceOf} from './locality.js'
import {problemOf, type RestoreProblem} from './problems.js'
import {findPath, type Found, isWithin, lookupFound, rootOf, walkBelow} from './selection.js'
import {Target} from './target.js'

/** Files written at the same time. */
const DEFAULT_FILES_AT_ONCE = 8

const STAGING_NAME = '.kloset-oci-restore'

export interface RestoreProgress {
  /** Bytes of content that are in place. */
  readonly bytes: number
  /** Files, links and folders. */
  readonly done: number
}

export interface RestoreOptions extends CallOptions {
  /** Files written at the same time. Default 8. */
  readonly concurrency?: number | undefined
  /** Default `refuse`. */
  readonly existing?: ExistingPolicy | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  /** Set owner and group. Default: when the process is root's. */
  readonly owner?: boolean | undefined
  /** Only these and what lies below: absolute, or relative to the folder that was backed up. Default: that folder. */
  readonly paths?: readonly string[] | undefined
  /** Set permissions. Default true. */
  readonly permissions?: boolean | undefined
  readonly source?: number | undefined
  /** The folder to restore into; made where there is none. */
  readonly target: string
}

/** What was restored. */
export interface RestoreSummary {
  /** Bytes of content written, or found in place. */
  readonly bytes: number
  readonly damaged: number
  readonly exists: number
  readonly failed: number
  readonly files: number
  readonly folders: number
  /** Names that are links to a file restored under another. */
  readonly hardLinks: number
  /** Left as they were, because they were asked to be. */
  readonly kept: number
  readonly links: number
  /** Devices, pipes and sockets, which are not restored. */
  readonly special: number
  /** Of files and links: those that were there as the snapshot has them. */
  readonly unchanged: number
  /** Entries whose extended attributes are in the snapshot: they are not restored. */
  readonly withAttributes: number
}

/**
 * Restores files of a snapshot into a folder. Iterate it for what could not be restored, then ask for its `summary`.
 * Run again over an interrupted one it goes on: a file appears whole, and one whose content is right is left.
 * It throws when nothing more can be done: NotFoundError for a path that the snapshot does not have, a registry that is
 * down, a full disk, an interruption.
 */
export function restore(contents: StoreContents, snapshot: Snapshot, options: RestoreOptions): Restore {
  const placeOf: PlaceOf = (type, mac) => contents.index.locate(type, mac)
  const content = new ContentReader({hashers: contents.hashers, read: snapshot.read})
  return new Restore(snapshot, {...options, content, placeOf})
}

export interface RestoreParts extends RestoreOptions {
  readonly content: ContentReader
  /** Take it that the file system does not tell all names apart, without trying. */
  readonly folds?: boolean | undefined
  /** Files of so many bytes are written at once (`SmallFiles`). */
  readonly maxSmallBytes?: number | undefined
  /** Where a blob lies: files are restored in that order where it is known. */
  readonly placeOf?: PlaceOf | undefined
}

/** One restore under way. */
export class Restore implements AsyncIterable<RestoreProblem> {
  readonly #counts = {
    bytes: 0,
    damaged: 0,
    exists: 0,
    failed: 0,
    files: 0,
    folders: 0,
    hardLinks: 0,
    kept: 0,
    links: 0,
    special: 0,
    unchanged: 0,
    withAttributes: 0,
  }
  readonly #hardLinks = new HardLinks()
  readonly #parts: RestoreParts
  readonly #pending: RestoreProblem[] = []
  readonly #snapshot: Snapshot
  #stopped = false
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(snapshot: Snapshot, parts: RestoreParts) {
    this.#parts = parts
    this.#snapshot = snapshot
  }

  get summary(): RestoreSummary {
    return {...this.#counts}
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RestoreProblem> {
    for await (const problem of this.#run()) {
      this.#counts[problem.kind === 'attributes' ? 'withAttributes' : problem.kind] += 1
      yield problem
    }
  }

  #count(kind: 'files' | 'links', outcome: Outcome): void {
    if (outcome === 'kept') {
      this.#counts.kept += 1
      return
    }

    this.#counts[kind] += 1
    if (outcome === 'unchanged') this.#counts.unchanged += 1
    this.#report()
  }

  /** What is to be restored but folders, which are made on the way. */
  async *#entries({base, files, folders, selected, target}: Walk): AsyncGenerator<Found> {
    for (const path of selected) {
      for await (const found of walkBelow(files, path, {onBroken: (broken) => this.#partLost(broken)})) {
        throwIfAborted(this.#parts.signal)
        const {entry, mac} = found
        if (entry) this.#noteAttributes(entry)
        if (!entry || !isDirectory(entry)) {
          yield found
          continue
        }

        try {
          await target.folder(relativeTo(base, found.path))
        } catch (error) {
          yield {...found, error}
          continue
        }

        if (mac) folders.add(mac)
        this.#counts.folders += 1
        this.#report()
      }
    }
  }

  /** Gives folders their permissions and times, those below first: nothing is written into them any more. */
  async *#finish({base, files, folders, target}: Omit<Walk, 'selected'>): AsyncGenerator<RestoreProblem> {
    for (const mac of folders.newestFirst()) {
      throwIfAborted(this.#parts.signal)
      let path = `vfs-entry ${mac}`
      try {
        const entry = await files.entry(mac)
        ;({path} = entry)
        await target.finishFolder(relativeTo(base, path), entry, this.#metadata())
      } catch (error) {
        yield problemOf(error, path)
      }
    }
  }

  #metadata() {
    const {owner = process.geteuid?.() === 0, permissions = true} = this.#parts
    return {owner, permissions}
  }

  #noteAttributes({extendedAttributes: attributes, path}: Entry): void {
    if (attributes.length === 0) return
    const message = `${attributes.length === 1 ? 'an extended attribute is' : 'extended attributes are'} not restored`
    this.#pending.push({attributes, kind: 'attributes', message, path})
  }

  #partLost({before, error, from}: BrokenNode): void {
    this.#pending.push({...problemOf(error, from ?? '/'), before: before ?? '', kind: 'damaged'})
  }

  #report(): void {
    const {bytes, files, folders, links} = this.#counts
    this.#parts.onProgress?.({bytes, done: files + folders + links})
  }

  async #restoreOne(
    restorer: FileRestorer,
    base: string,
    {entry, error: fault, object, path: found}: Located,
  ): Promise<RestoreProblem | undefined> {
    if (!entry || fault !== undefined) return problemOf(fault, found)
    const path = relativeTo(base, entry.path)
    const kind = kindOfMode(entry.info.mode)
    try {
      throwIfAborted(this.#parts.signal)
      if (kind === 'symlink') {
        this.#count('links', await restorer.symlink(entry, path))
        return undefined
      }

      if (kind !== 'file') return {kind: 'special', message: `a ${kind} is not restored`, path: entry.path}
      const file = async () => {
        const outcome = await restorer.file(entry, object, path)
        this.#count('files', outcome)
        return outcome !== 'kept'
      }

      const first = await this.#hardLinks.first(entry, path, file)
      if (first === undefined) return undefined
      const linked = await restorer.hardLink(first, path)
      if (linked) {
        this.#counts.hardLinks += 1
        this.#count('files', linked)
      } else await file()
      return undefined
    } catch (error) {
      return problemOf(error, entry.path)
    }
  }

  async *#run(): AsyncGenerator<RestoreProblem> {
    const {concurrency = DEFAULT_FILES_AT_ONCE, content, existing = 'refuse', source = 0, target: folder} = this.#parts
    const files = await this.#snapshot.files(source)
    const {base, selected} = await this.#select(files)
    const target = await Target.open(folder, {
      folds: this.#parts.folds,
      replace: existing === 'overwrite',
      stagingName: await unusedName(files, base),
    })
    const folders = new FolderList()
    const restorer = new FileRestorer({
      content,
      existing,
      maxSmallBytes: this.#parts.maxSmallBytes,
      metadata: this.#metadata(),
      onBytes: (count) => {
        if (this.#stopped) throw new TypeError('the restore has ended')
        this.#counts.bytes += count
        this.#report()
      },
      signal: this.#parts.signal,
      target,
    })
    try {
      const work = byPlace(this.#entries({base, files, folders, selected, target}), files, this.#parts.placeOf)
      const results = pMapIterable(work, async (located) => this.#tracked(this.#restoreOne(restorer, base, located)), {
        concurrency,
      })
      for await (const problem of results) {
        if (problem) yield problem
        yield* this.#pending.splice(0)
      }

      yield* this.#pending.splice(0)
      // Before the target gets its time.
      await target.close()
      yield* this.#finish({base, files, folders, target})
    } finally {
      this.#stopped = true
      await Promise.allSettled(this.#underWay)
      await target.close()
    }
  }

  /** Which paths, and the folder that they are laid out from. */
  async #select(files: Filesystem): Promise<{readonly base: string; readonly selected: readonly string[]}> {
    const {paths = [], source = 0} = this.#parts
    const root = await rootOf(this.#snapshot, files, source)
    const wanted =
      paths.length === 0 ? [root] : await Promise.all(paths.map(async (path) => findPath(files, root, path)))
    for (const path of wanted) await lookupFound(files, path)
    const selected = [...new Set(wanted)].filter(
      (path, _, all) => !all.some((other) => other !== path && isWithin(path, other)),
    )
    if (selected.length === 0) throw new NotFoundError('nothing was asked for')
    const {entry} = await lookupFound(files, root)
    const isInside = wanted.every((path) => isWithin(path, root))
    const folder = entry && !isDirectory(entry) ? root.slice(0, root.lastIndexOf('/')) || '/' : root
    return {base: isInside ? folder : '/', selected}
  }

  async #tracked<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    try {
      return await work
    } finally {
      this.#underWay.delete(work)
    }
  }
}

interface Walk {
  readonly base: string
  readonly files: Filesystem
  readonly folders: FolderList
  readonly selected: readonly string[]
  readonly target: Target
}

/** A path below the target: `` for the target itself. */
function relativeTo(base: string, path: string): string {
  if (path === base) return ''
  return base === '/' ? path : path.slice(base.length)
}

/** A name that the snapshot does not have at the place where files are staged. */
async function unusedName(files: Filesystem, base: string): Promise<string> {
  for (let number = 0; ; number++) {
    const name = number === 0 ? STAGING_NAME : `${STAGING_NAME}-${number}`
    try {
      await lookupFound(files, base === '/' ? `/${name}` : `${base}/${name}`)
    } catch (error) {
      if (isNotFound(error)) return name
      throw error
    }
  }
}
