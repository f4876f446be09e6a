import {randomBytes} from 'node:crypto'
import {constants} from 'node:fs'
import {type FileHandle, open, readdir, rename, rm, stat, utimes} from 'node:fs/promises'
import {join} from 'node:path'

import {algorithmOf, type Digest, Digester} from '../../registry/digest.js'
import {fileOperation} from '../../util/fs-error.js'
import {makeFolders} from '../../util/make-folders.js'

export interface DiskCacheOptions {
  readonly dir: string
  /** Bytes of all entries together. What is larger than a quarter of it is not kept. */
  readonly maxBytes: number
}

/** What is known of a blob before it is read. */
export interface CachedBlob {
  readonly digest: Digest
  readonly size: number
}

const READ_BYTES = 256 * 1024

/** A file that was begun so long ago belongs to a process that has died. */
const STALE_MS = 60 * 60 * 1000

const TEMPORARY = '.part'

/** So much of the limit is left when entries have to go. */
const PRUNED = 0.9

/**
 * Blobs in a folder, by their digest; several processes may use it at once. Entries appear whole, by rename, and are
 * checked against their digest each time before a byte of them is handed out: one that does not match is dropped. A
 * cache that cannot be written stays as it is, silently: it is never the reason why something fails.
 */
export class DiskCache {
  /** As of the last look; other processes add to it as well. */
  #bytes: number | undefined
  readonly #dir: string
  readonly #maxBytes: number

  private constructor({dir, maxBytes}: DiskCacheOptions) {
    this.#dir = dir
    this.#maxBytes = maxBytes
  }

  /** Makes the folder when it is not there. @throws LocalIoError when it cannot be used */
  static async open(options: DiskCacheOptions): Promise<DiskCache> {
    const {dir} = options
    await fileOperation('use', dir, async () => {
      await makeFolders(dir, {mode: 0o700})
      const probe = join(dir, temporaryName('probe'))
      const handle = await open(probe, 'wx', 0o600)
      await handle.close()
      await rm(probe, {force: true})
    })
    return new DiskCache(options)
  }

  /**
   * Passes a blob through, whose end means that it was whole and right, and keeps a copy of it.
   * @yields the chunks of `source`
   */
  async *fill({digest, size}: CachedBlob, source: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
    const copy = size <= this.#maxBytes / 4 ? await Copy.begin(this.#dir, nameOf(digest)) : undefined
    try {
      for await (const chunk of source as AsyncIterable<Buffer>) {
        await copy?.write(chunk)
        yield chunk
      }

      if (await copy?.keep()) await this.#added(size)
    } finally {
      await copy?.drop()
    }
  }

  /** The blob's bytes when they are here and right. */
  async read({digest, size}: CachedBlob): Promise<AsyncGenerator<Buffer> | undefined> {
    const path = join(this.#dir, nameOf(digest))
    let handle: FileHandle | undefined
    try {
      handle = await open(path, constants.O_NOFOLLOW)
      const digester = new Digester(algorithmOf(digest))
      for await (const piece of piecesOf(handle, size + 1)) digester.update(piece)
      if (digester.size === size && digester.value() === digest) {
        const now = new Date()
        await utimes(path, now, now).catch(() => {})
        return closing(handle, size)
      }

      await rm(path, {force: true, recursive: true})
    } catch {
      // Not here, or not to be read: the registry has it.
    }

    await handle?.close().catch(() => {})
    return undefined
  }

  async #added(size: number): Promise<void> {
    try {
      this.#bytes = this.#bytes === undefined ? await this.#prune() : this.#bytes + size
      if (this.#bytes > this.#maxBytes) this.#bytes = await this.#prune()
    } catch {
      // Whoever writes next tries again.
    }
  }

  /** Removes what was used longest ago, and what dead processes left. @returns the bytes that stay */
  async #prune(): Promise<number> {
    const entries: {bytes: number; path: string; used: number}[] = []
    for (const name of await readdir(this.#dir)) {
      const path = join(this.#dir, name)
      const found = await stat(path).catch(() => {})
      if (!found?.isFile()) continue
      if (!name.endsWith(TEMPORARY)) entries.push({bytes: found.size, path, used: found.mtimeMs})
      else if (Date.now() - found.mtimeMs > STALE_MS) await rm(path, {force: true})
    }

    let total = entries.reduce((sum, {bytes}) => sum + bytes, 0)
    if (total <= this.#maxBytes) return total
    for (const {bytes, path} of entries.toSorted((a, b) => a.used - b.used)) {
      if (total <= this.#maxBytes * PRUNED) break
      await rm(path, {force: true})
      total -= bytes
    }

    return total
  }
}

/** An entry on its way. Once something fails it is given up, and nobody is told. */
class Copy {
  #failed = false
  readonly #handle: FileHandle
  #kept = false
  readonly #path: string
  readonly #temporary: string

  private constructor(handle: FileHandle, temporary: string, path: string) {
    this.#handle = handle
    this.#path = path
    this.#temporary = temporary
  }

  static async begin(dir: string, name: string): Promise<Copy | undefined> {
    const temporary = join(dir, temporaryName(name))
    try {
      return new Copy(await open(temporary, 'wx', 0o600), temporary, join(dir, name))
    } catch {
      return undefined
    }
  }

  async drop(): Promise<void> {
    if (this.#kept) return
    await this.#handle.close().catch(() => {})
    await rm(this.#temporary, {force: true}).catch(() => {})
  }

  /** @returns whether it is an entry now */
  async keep(): Promise<boolean> {
    if (this.#failed) return false
    try {
      await this.#handle.close()
      await rename(this.#temporary, this.#path)
      this.#kept = true
    } catch {
      this.#failed = true
    }

    return this.#kept
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.#failed) return
    try {
      await this.#handle.writeFile(bytes)
    } catch {
      this.#failed = true
    }
  }
}

async function* closing(handle: FileHandle, size: number): AsyncGenerator<Buffer> {
  try {
    yield* piecesOf(handle, size)
  } finally {
    await handle.close().catch(() => {})
  }
}

/** The file's bytes up to `end`. */
async function* piecesOf(handle: FileHandle, end: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < end;) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - at))
    const {bytesRead} = await handle.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

function nameOf(digest: Digest): string {
  return digest.replace(':', '-')
}

function temporaryName(name: string): string {
  return `${name}.${process.pid}-${randomBytes(6).toString('hex')}${TEMPORARY}`
}
