import {randomBytes} from 'node:crypto'
import {type FileHandle, open, rename, rm, stat} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'

import {InvalidArgumentError} from '../errors.js'
import {fileOperation, localIoError} from '../util/fs-error.js'
import {Gatherer} from '../util/gatherer.js'
import {isFolder} from '../util/make-folders.js'
import {writeFully, writeFullyNow} from '../util/write-fully.js'

/** Small pieces are gathered to writes of about this size. */
const WRITE_BYTES = 1024 * 1024

/** A write that takes longer is a slow one, and after so many of them nothing waits for the disk any more. */
const SLOW_MS = 10
const MAX_SLOW_CALLS = 3

const LAYOUT_FILES: ReadonlySet<string> = new Set(['index.json', 'oci-layout'])

/**
 * A file that appears whole or not at all: written beside its place, synced, then renamed.
 * An existing file stays as it was until then, and keeps its permissions.
 */
export class AtomicFile {
  readonly #gatherer: Gatherer
  readonly #handle: FileHandle
  readonly #path: string
  #size = 0
  #slowCalls = 0
  readonly #temporary: string

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.#path = path
    this.#temporary = temporary
    this.#handle = handle
    this.#gatherer = new Gatherer((piece) => this.#write(piece), WRITE_BYTES)
  }

  /** @throws InvalidArgumentError when `path` is a folder or a device, or what makes a folder an image layout */
  static async create(path: string): Promise<AtomicFile> {
    const there = await stat(path).catch(() => {})
    if (!there && !(await isFolder(dirname(path)))) throw new InvalidArgumentError(`${path}: its folder does not exist`)
    if (there && !there.isFile()) throw new InvalidArgumentError(`${path}: not a regular file`)
    if (there) await refuseLayoutFile(path)
    const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.part`)
    const handle = await fileOperation('create', path, async () =>
      open(temporary, 'wx', there ? there.mode % 0o1000 : 0o666),
    )
    return new AtomicFile(path, temporary, handle)
  }

  async commit(): Promise<void> {
    await this.#gatherer.flush()
    await fileOperation('write', this.#path, async () => {
      await this.#handle.sync()
      await this.#handle.close()
      await rename(this.#temporary, this.#path)
    })
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {})
    await rm(this.#temporary, {force: true})
  }

  /** Takes a piece, which may be written over when the call has returned, or what it returned has settled. */
  write(piece: Uint8Array): Promise<void> | void {
    return this.#gatherer.add(piece)
  }

  /**
   * By calls that wait, as long as they take no time: on a local disk that is a copy in memory, and a turn of Node's
   * thread pool takes longer.
   */
  #write(piece: Buffer): Promise<void> | void {
    if (this.#slowCalls >= MAX_SLOW_CALLS) return this.#writeBeside(piece)
    const began = performance.now()
    try {
      writeFullyNow(this.#handle.fd, piece, this.#size)
    } catch (error) {
      throw localIoError(error, 'write', this.#path)
    }

    this.#size += piece.length
    if (performance.now() - began > SLOW_MS) this.#slowCalls += 1
  }

  async #writeBeside(piece: Buffer): Promise<void> {
    await fileOperation('write', this.#path, async () => writeFully(this.#handle, piece, this.#size))
    this.#size += piece.length
  }
}

/**
 * Looks before long work whether a file could be written after it.
 * @throws InvalidArgumentError | LocalIoError as writing it would
 */
export async function refuseUnwritable(path: string | undefined): Promise<void> {
  if (path === undefined) return
  const file = await AtomicFile.create(path)
  await file.discard()
}

/** Writes a file at once: it appears whole or not at all. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const file = await AtomicFile.create(path)
  try {
    await file.write(bytes)
    await file.commit()
  } catch (error) {
    await file.discard()
    throw error
  }
}

/** A store in a folder stands and falls with these two: no command's result is meant to replace them. */
async function refuseLayoutFile(path: string): Promise<void> {
  if (!LAYOUT_FILES.has(basename(path))) return
  const others = [...LAYOUT_FILES].map(async (name) => stat(join(dirname(path), name)))
  if ((await Promise.allSettled(others)).some(({status}) => status === 'rejected')) return
  throw new InvalidArgumentError(`${path}: belongs to an image layout: the store in that folder would be lost`, {
    suggestions: ['Name another file.'],
  })
}
