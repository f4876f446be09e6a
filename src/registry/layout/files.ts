import type {BigIntStats} from 'node:fs'

import {randomUUID} from 'node:crypto'
import fs from 'node:fs/promises'
import {dirname, join} from 'node:path'

import {errnoOf, fileOperation} from '../../util/fs-error.js'
import {makeFolders} from '../../util/make-folders.js'
import {algorithmOf, type Digest, type DigestAlgorithm, encodedOf} from '../digest.js'
import {GroupSync} from './group-sync.js'

/** Our own folder inside a layout: the lock and unfinished files. No part of the image-layout format. */
export const PRIVATE_DIR = '.kloset-oci'

export interface LayoutFilesOptions {
  /** False skips every fsync: for tests and throw-away layouts. */
  readonly durable: boolean
}

/** Where things lie in a layout directory, and how they get there: temporary file, fsync, rename, fsync of the folder. */
export class LayoutFiles {
  readonly indexPath: string
  readonly markerPath: string
  readonly privateDir: string
  readonly tempDir: string
  /** Folders with entries that are not on the disk yet, and how often each was changed. */
  readonly #dirty = new Map<string, number>()
  readonly #durable: boolean
  readonly #made = new Set<string>()
  readonly #sync = new GroupSync()

  constructor(
    readonly root: string,
    {durable}: LayoutFilesOptions,
  ) {
    this.#durable = durable
    this.indexPath = join(root, 'index.json')
    this.markerPath = join(root, 'oci-layout')
    this.privateDir = join(root, PRIVATE_DIR)
    this.tempDir = join(this.privateDir, 'tmp')
  }

  blobDir(algorithm: DigestAlgorithm): string {
    return join(this.root, 'blobs', algorithm)
  }

  blobPath(digest: Digest): string {
    return join(this.blobDir(algorithmOf(digest)), encodedOf(digest))
  }

  /** Brings a file's content to the disk. */
  async flush(handle: fs.FileHandle, path: string): Promise<void> {
    if (this.#durable) await fileOperation('flush', path, () => handle.datasync())
  }

  /**
   * Moves a finished temporary file to its place, replacing what is there. Its content is on the disk before its name
   * is seen; the name itself is when `syncDirs` has run.
   */
  async install(handle: fs.FileHandle, temporary: string, path: string): Promise<void> {
    await this.flush(handle, temporary)
    await fileOperation('write', path, async () => {
      await handle.close()
      await fs.rename(temporary, path)
    })
    this.markDirty(dirname(path))
  }

  /** Makes a folder of the layout, once per process unless it has vanished since. */
  async makeDir(dir: string): Promise<void> {
    if (this.#made.has(dir)) return
    await fileOperation('make folder', dir, async () => makeFolders(dir))
    this.#made.add(dir)
  }

  /** A folder whose entries were changed: the next `syncDirs` flushes it. */
  markDirty(dir: string): void {
    this.#dirty.set(dir, (this.#dirty.get(dir) ?? 0) + 1)
  }

  /** Brings the names of all installed files to the disk; callers that come together share one fsync of a folder. */
  async syncDirs(): Promise<void> {
    await Promise.all(
      [...this.#dirty].map(async ([dir, changes]) => {
        if (this.#durable) await fileOperation('flush folder', dir, () => this.#sync.sync(dir))
        // Stays marked when it was changed meanwhile, so that nobody passes by a flush that has not ended.
        if (this.#dirty.get(dir) === changes) this.#dirty.delete(dir)
      }),
    )
  }

  /** A new file to write to, in the same file system as the layout. */
  async temporary(): Promise<{readonly handle: fs.FileHandle; readonly path: string}> {
    const path = this.temporaryPath()
    const open = () => fs.open(path, 'wx+')
    await this.makeDir(this.tempDir)
    try {
      return {handle: await open(), path}
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') return fileOperation('create', path, () => Promise.reject(error))
    }

    this.#made.delete(this.tempDir)
    await this.makeDir(this.tempDir)
    return {handle: await fileOperation('create', path, open), path}
  }

  /** A name in the folder of unfinished files that nobody else has. */
  temporaryPath(): string {
    return join(this.tempDir, randomUUID())
  }

  /** Writes a small file in one go, atomically. */
  async writeAtomically(path: string, chunks: Iterable<Uint8Array>): Promise<void> {
    const {handle, path: temporary} = await this.temporary()
    try {
      for (const chunk of chunks) await fileOperation('write', path, () => handle.writeFile(chunk))
      await this.install(handle, temporary, path)
      await this.syncDirs()
    } catch (error) {
      await discard(handle, temporary)
      throw error
    }
  }
}

/** Closes and removes an unfinished file, whatever state it is in. */
export async function discard(handle: fs.FileHandle | undefined, path: string): Promise<void> {
  await handle?.close().catch(() => {})
  await fs.rm(path, {force: true}).catch(() => {})
}

/** A file's status, or nothing when there is none. */
export async function statOrNone(path: string): Promise<BigIntStats | undefined> {
  try {
    return await fs.lstat(path, {bigint: true})
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined
    return fileOperation('read', path, () => Promise.reject(error))
  }
}
