import type {Stats} from 'node:fs'

import {constants, rmSync} from 'node:fs'
import {link, open, symlink, unlink} from 'node:fs/promises'

import type {Entry, FileObject} from '../kloset/snapshot/index.js'
import type {ContentReader} from './content.js'

import {AlreadyExistsError, StoreFormatError} from '../errors.js'
import {nameToBytes} from '../kloset/snapshot/index.js'
import {FileWriter} from './file-writer.js'
import {type MetadataOptions, setFileMetadata, setLinkMetadata} from './metadata.js'
import {SmallFiles, writeSmallFile} from './small-file.js'
import {type Target} from './target.js'

/** What to do where something is already: files that are what the snapshot has are always left. */
export type ExistingPolicy = 'keep' | 'overwrite' | 'refuse'

export type Outcome = 'kept' | 'restored' | 'unchanged'

export interface FileRestorerOptions {
  readonly content: ContentReader
  readonly existing: ExistingPolicy
  /** Files of so many bytes are written at once (`SmallFiles`). */
  readonly maxSmallBytes?: number | undefined
  readonly metadata: MetadataOptions
  /** Told of every piece of content that was written, or found to be there. */
  readonly onBytes: (count: number) => void
  readonly signal?: AbortSignal | undefined
  readonly target: Target
}

const READ_BYTES = 1024 * 1024

/** Restores what is not a folder, each whole or not at all. */
export class FileRestorer {
  readonly #options: FileRestorerOptions
  readonly #small: SmallFiles

  constructor(options: FileRestorerOptions) {
    this.#options = options
    this.#small = new SmallFiles({maxBytes: options.maxSmallBytes, signal: options.signal})
  }

  /** @param object its content; none for a file that is empty. @throws what the store and the file system throw */
  async file(entry: Entry, object: FileObject | undefined, path: string): Promise<Outcome> {
    const {target} = this.#options
    if (!object && entry.info.size > 0) {
      throw new StoreFormatError(
        `${JSON.stringify(entry.path)} has ${entry.info.size} bytes, and no content is recorded`,
      )
    }

    await target.folder(parentOf(path))
    const isSmall = this.#small.takes(object?.chunks.size ?? 0)
    const there = isSmall ? await this.#small.run(() => target.lookNow(path)) : await target.look(path)
    if (there && (await this.#isSame(there, object, path))) {
      await this.#refresh(entry, path)
      this.#options.onBytes(there.size)
      return 'unchanged'
    }

    if (there && this.#isKept(there, path)) return 'kept'
    await (isSmall ? this.#writeSmall(entry, object, path) : this.#writeLarge(entry, object, path))
    return 'restored'
  }

  /** Another name of a file that was restored. @returns undefined when the file system cannot do that here */
  async hardLink(first: string, path: string): Promise<Outcome | undefined> {
    const {target} = this.#options
    await target.folder(parentOf(path))
    const [original, there] = [await target.look(first), await target.look(path)]
    if (!original?.isFile()) return undefined
    if (there?.ino === original.ino && there.dev === original.dev) return 'unchanged'
    if (there) return undefined
    try {
      await link(target.onDisk(first), target.onDisk(path))
      return 'restored'
    } catch {
      return undefined
    }
  }

  async symlink(entry: Entry, path: string): Promise<Outcome> {
    const {metadata, target} = this.#options
    const to = nameToBytes(entry.symlinkTarget)
    if (to.length === 0 || to.includes(0)) {
      throw new StoreFormatError(`${JSON.stringify(entry.path)} is a symbolic link to nothing`)
    }

    await target.folder(parentOf(path))
    const there = await target.look(path)
    if (there?.isSymbolicLink() && (await target.linkTarget(path)).equals(to)) return 'unchanged'
    if (there && this.#isKept(there, path)) return 'kept'
    const staged = target.stagePath()
    await target.run('create', path, async () => symlink(to, staged))
    await target.run('set the times of', path, async () => setLinkMetadata(staged, entry, metadata))
    await this.#place(staged, path)
    return 'restored'
  }

  /** @throws AlreadyExistsError when it may neither stay nor go */
  #isKept(there: Stats, path: string): boolean {
    const {existing} = this.#options
    if (existing === 'keep') return true
    if (existing === 'overwrite') return false
    const what = there.isFile() ? 'a file with other content' : 'something else'
    throw new AlreadyExistsError(`${JSON.stringify(path)}: ${what} is in its place`, {facts: {path}})
  }

  /** Whether a file is what the snapshot has: by its content, whatever its time. */
  async #isSame(there: Stats, object: FileObject | undefined, path: string): Promise<boolean> {
    if (!there.isFile() || there.size !== (object?.chunks.size ?? 0)) return false
    if (!object || object.chunks.size === 0) return true
    if (this.#options.existing === 'keep') return false
    const {content, target} = this.#options
    return target.run('read', path, async () => {
      // Not a link, should it have become one.
      const handle = await open(target.onDisk(path), READ_NO_LINK)
      try {
        return await content.matches(
          object,
          contentOf(handle.createReadStream({autoClose: false, highWaterMark: READ_BYTES})),
        )
      } finally {
        await handle.close()
      }
    })
  }

  async #place(staged: string, path: string): Promise<void> {
    try {
      await this.#options.target.place(staged, path)
    } catch (error) {
      await unlink(staged).catch(() => {})
      throw error
    }
  }

  /** Permissions and times of a file that was there: an interrupted restore sets them before a file gets its name. */
  async #refresh(entry: Entry, path: string): Promise<void> {
    const {metadata, target} = this.#options
    await target.run('set the times of', path, async () => {
      const handle = await open(target.onDisk(path), READ_NO_LINK)
      await setFileMetadata(handle, entry, metadata).finally(async () => handle.close())
    })
  }

  async #write(handle: Awaited<ReturnType<Target['stage']>>['handle'], object: FileObject | undefined): Promise<void> {
    if (!object) return
    const writer = new FileWriter(handle)
    for await (const chunk of this.#options.content.content(object)) {
      await writer.write(chunk)
      this.#options.onBytes(chunk.length)
    }

    await writer.end()
  }

  /** Writes a file as its content comes. */
  async #writeLarge(entry: Entry, object: FileObject | undefined, path: string): Promise<void> {
    const {target} = this.#options
    const {handle, path: staged} = await target.stage()
    try {
      await target.run('write', path, async () => this.#write(handle, object))
      await target.run('set the times of', path, async () => setFileMetadata(handle, entry, this.#options.metadata))
    } catch (error) {
      await handle.close().catch(() => {})
      await unlink(staged).catch(() => {})
      throw error
    }

    await handle.close()
    await this.#place(staged, path)
  }

  /** Writes a file when all of its content is there. */
  async #writeSmall(entry: Entry, object: FileObject | undefined, path: string): Promise<void> {
    const {content, metadata, onBytes, target} = this.#options
    const parts: Buffer[] = []
    if (object) for await (const chunk of content.content(object)) parts.push(chunk)
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    await this.#small.run(() => {
      const staged = target.stagePath()
      target.runNow('write', path, () => writeSmallFile(staged, bytes, entry, metadata))
      if (bytes.length > 0) onBytes(bytes.length)
      try {
        target.placeNow(staged, path)
      } catch (error) {
        rmSync(staged, {force: true})
        throw error
      }
    })
  }
}

// eslint-disable-next-line no-bitwise -- flags are bits
const READ_NO_LINK = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

async function* contentOf(stream: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  for await (const part of stream) yield part as Buffer
}
