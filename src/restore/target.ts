import type {Stats} from 'node:fs'

import {LRUCache} from 'lru-cache'
import {lstatSync, renameSync} from 'node:fs'
import {chmod, lstat, mkdir, open, readlink, realpath, rename, rm, unlink} from 'node:fs/promises'

import type {Entry} from '../kloset/snapshot/index.js'

import {AlreadyExistsError, InvalidArgumentError} from '../errors.js'
import {nameToBytes} from '../kloset/snapshot/index.js'
import {errnoOf, fileOperation, localIoError} from '../util/fs-error.js'
import {makeFolders} from '../util/make-folders.js'
import {type MetadataOptions, setFolderMetadata} from './metadata.js'

/** Folders that are known to be folders; what is forgotten is looked at again. */
const REMEMBERED_FOLDERS = 4096

/** Permissions of a folder while it is filled. */
const WORKING_MODE = 0o700
const OWNER_WRITES = 0o300

export interface TargetOptions {
  /** Take it that the file system does not tell all names apart, without trying. */
  readonly folds?: boolean | undefined
  /** Whether what is in the way of a file, link or folder is replaced. Folders never are. */
  readonly replace: boolean
  /** The folder, below the target, in which files are written before they are moved to their place. */
  readonly stagingName: string
}

/**
 * The folder that a snapshot is restored into. Paths are relative to it, begin with `/`, and are clean. A path is used
 * only when every folder on its way is a folder and no link: nothing outside is ever written to.
 */
export class Target {
  readonly root: string
  /** Paths as the file system tells them apart; only where it does not tell all of them apart. */
  readonly #claimed = new Map<string, string>()
  readonly #folders = new LRUCache<string, Promise<void>>({max: REMEMBERED_FOLDERS})
  #folds: boolean
  readonly #replace: boolean
  #staged = 0
  readonly #staging: string

  private constructor(root: string, {folds = false, replace, stagingName}: TargetOptions) {
    this.#folds = folds
    this.root = root === '/' ? '' : root
    this.#replace = replace
    this.#staging = `${this.root}/${stagingName}`
  }

  /**
   * Makes the folder where there is none.
   * @throws InvalidArgumentError when it is something else, LocalIoError
   */
  static async open(path: string, options: TargetOptions): Promise<Target> {
    try {
      await makeFolders(path)
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'EEXIST' || errno === 'ENOTDIR') throw new InvalidArgumentError(`${path}: is no folder`)
      throw localIoError(error, 'create', path)
    }

    const root = await fileOperation('open', path, async () => realpath(path))
    const target = new Target(root, options)
    await target.close()
    await fileOperation('create', target.#staging, async () => mkdir(target.#staging, {mode: WORKING_MODE}))
    target.#folds ||= await foldsNames(target.#staging)
    return target
  }

  /** Removes what was written and did not come to its place. */
  async close(): Promise<void> {
    const there = await this.#stat(Buffer.from(this.#staging))
    if (there?.isDirectory()) await rm(this.#staging, {force: true, recursive: true})
    else if (there) await unlink(this.#staging)
  }

  /** Owner, permissions and time of a folder into which nothing is written any more. */
  async finishFolder(path: string, entry: Entry, metadata: MetadataOptions): Promise<void> {
    const there = await this.look(path)
    if (!there?.isDirectory()) throw inTheWay(path, there)
    await this.run('set the times of', path, async () => setFolderMetadata(this.onDisk(path), entry, metadata))
  }

  /** Makes a folder and those above it where they are not. @throws AlreadyExistsError when something else is there */
  async folder(path: string, mode = WORKING_MODE): Promise<void> {
    if (path === '' || path === '/') return
    const known = this.#folders.get(path)
    if (known) return known
    const made = this.#makeFolder(path, mode)
    this.#folders.set(path, made)
    made.catch(() => {
      if (this.#folders.peek(path) === made) this.#folders.delete(path)
    })
    return made
  }

  async linkTarget(path: string): Promise<Buffer> {
    return readlink(this.onDisk(path), 'buffer')
  }

  /** What is at a path, its last part not followed; undefined for nothing. */
  async look(path: string): Promise<Stats | undefined> {
    return this.#stat(this.onDisk(path))
  }

  /** The same as `look`, at once. */
  lookNow(path: string): Stats | undefined {
    return this.#statNow(this.onDisk(path), path)
  }

  /** Where a path lies on the disk, as bytes: names need not be UTF-8. */
  onDisk(path: string): Buffer {
    return Buffer.concat([Buffer.from(this.root === '' && path === '' ? '/' : this.root), nameToBytes(path)])
  }

  /** Moves what was staged to its place, whose folder is made. @throws AlreadyExistsError */
  async place(staged: string, path: string): Promise<void> {
    const disk = this.onDisk(path)
    this.#claim(path)
    this.#admit(path, await this.#stat(disk))
    await this.run('write', path, async () => rename(staged, disk))
  }

  /** The same as `place`, at once. */
  placeNow(staged: string, path: string): void {
    const disk = this.onDisk(path)
    this.#claim(path)
    this.#admit(path, this.#statNow(disk, path))
    this.runNow('write', path, () => renameSync(staged, disk))
  }

  /** Runs an operation of the file system on a path. @throws LocalIoError */
  async run<T>(doing: string, path: string, operation: () => Promise<T>): Promise<T> {
    return fileOperation(doing, `${this.root}${path}`, operation)
  }

  /** The same, at once. */
  runNow<T>(doing: string, path: string, operation: () => T): T {
    try {
      return operation()
    } catch (error) {
      throw localIoError(error, doing, `${this.root}${path}`)
    }
  }

  /** A new file, open for writing, of which nobody knows. */
  async stage() {
    const path = this.stagePath()
    return {handle: await fileOperation('create', path, async () => open(path, 'wx', 0o600)), path}
  }

  /** A path for something that is not there yet. */
  stagePath(): string {
    return `${this.#staging}/${++this.#staged}`
  }

  /** @throws AlreadyExistsError when what is there has to stay */
  #admit(path: string, there: Stats | undefined): void {
    if (there && (!this.#replace || there.isDirectory())) throw inTheWay(path, there)
  }

  /** @throws AlreadyExistsError when another path of the snapshot has its place */
  #claim(path: string): void {
    if (!this.#folds) return
    const folded = path.normalize('NFC').toLowerCase()
    const other = this.#claimed.get(folded)
    this.#claimed.set(folded, other ?? path)
    if (other === undefined || other === path) return
    const [one, two] = [other, path].map((name) => JSON.stringify(name))
    throw new AlreadyExistsError(`${two}: the file system does not tell it from ${one}, which is restored`, {
      facts: {path},
      suggestions: ['Restore it into another folder.'],
    })
  }

  async #makeFolder(path: string, mode: number): Promise<void> {
    await this.folder(path.slice(0, path.lastIndexOf('/')), mode)
    const disk = this.onDisk(path)
    if (await this.#mkdir(disk, path, mode)) return
    const there = await this.#stat(disk)
    if (there?.isDirectory()) {
      await this.#openUp(disk, path, there)
      return
    }

    if (there && !this.#replace) throw inTheWay(path, there)
    if (there) await this.run('remove', path, async () => unlink(disk))
    await this.run('create', path, async () => mkdir(disk, {mode}))
  }

  /** @returns false when something is there */
  async #mkdir(disk: Buffer, path: string, mode: number): Promise<boolean> {
    return this.run('create', path, async () => {
      try {
        await mkdir(disk, {mode})
        return true
      } catch (error) {
        if (errnoOf(error) === 'EEXIST') return false
        throw error
      }
    })
  }

  /** A folder that an earlier restore has finished may not be written to by its own owner. */
  async #openUp(disk: Buffer, path: string, {mode, uid}: Stats): Promise<void> {
    const permissions = mode % 0o1_0000
    // eslint-disable-next-line no-bitwise -- permissions are bits
    if ((permissions & OWNER_WRITES) === OWNER_WRITES || process.getuid?.() !== uid) return
    // eslint-disable-next-line no-bitwise -- permissions are bits
    await this.run('change the mode of', path, async () => chmod(disk, permissions | WORKING_MODE))
  }

  async #stat(disk: Buffer): Promise<Stats | undefined> {
    try {
      return await lstat(disk)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw localIoError(error, 'look at', disk.toString())
    }
  }

  #statNow(disk: Buffer, path: string): Stats | undefined {
    return this.runNow('look at', path, () => lstatSync(disk, {throwIfNoEntry: false}))
  }
}

function inTheWay(path: string, there: Stats | undefined): AlreadyExistsError {
  const what = kindOf(there)
  return new AlreadyExistsError(`${JSON.stringify(path)}: ${what} is in its place`, {facts: {path}})
}

function kindOf(there: Stats | undefined): string {
  if (!there) return 'nothing'
  if (there.isDirectory()) return 'a folder'
  return there.isSymbolicLink() ? 'a symbolic link' : 'another file'
}

/** Whether the file system takes two names for one: by case, or by the way accents are written. */
async function foldsNames(staging: string): Promise<boolean> {
  const name = `${staging}/caf\u00E9`
  await mkdir(name)
  const seen = await Promise.all(
    [`${staging}/CAF\u00C9`, `${staging}/cafe\u0301`].map(async (other) =>
      lstat(other).then(
        () => true,
        () => false,
      ),
    ),
  )
  await rm(name, {recursive: true})
  return seen.includes(true)
}
