import {createHash} from 'node:crypto'
import {type FileHandle, open, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'

import {LocalIoError} from '../errors.js'
import {throwIfAborted} from './abort.js'
import {type ContentSource, readableOfAll} from './content-source.js'
import {drain} from './drain.js'
import {FileBytes} from './file-bytes.js'
import {Gatherer} from './gatherer.js'
import {temporaryFileError, temporaryPath} from './temporary-file.js'

/** What is kept in memory is cut into slabs of so much. */
const SLAB_BYTES = 1024 * 1024

/** What every spool may have for itself, before it asks for a slab: most objects are small. */
const FIRST_BYTES = 64 * 1024

/** Written to a file in pieces of so much: what comes in is often cut small. */
const WRITE_BYTES = 1024 * 1024

/** Kept in memory up to this; what is longer goes to a file. */
const MEMORY_BYTES = 4 * 1024 * 1024

/** Memory that spools share, used again by the next one: who gets none any more goes to a file. */
export class SpoolMemory {
  readonly #free: Buffer[] = []
  #unmade: number

  /** @param limit in bytes, of all together */
  constructor(limit: number) {
    this.#unmade = Math.floor(limit / SLAB_BYTES)
  }

  give(slabs: readonly Buffer[]): void {
    this.#free.push(...slabs)
  }

  /** @returns a slab of `SLAB_BYTES`; none when all are in use */
  take(): Buffer | undefined {
    const slab = this.#free.pop()
    if (slab || this.#unmade === 0) return slab
    this.#unmade -= 1
    return Buffer.allocUnsafeSlow(SLAB_BYTES)
  }
}

export interface SpoolOptions {
  /** Where the file is made, default the system's folder for temporary ones. */
  readonly dir?: string | undefined
  /** Default 4 MiB of its own. */
  readonly memory?: SpoolMemory | undefined
  readonly signal?: AbortSignal | undefined
}

/** A stream's bytes, kept so that they can be read again, and their SHA-256 in hex. */
export interface Spooled extends ContentSource {
  dispose(): Promise<void>
  readonly sha256: string
}

/**
 * Reads a stream of unknown length to its end: small ones into memory, others into a file that has no name any more
 * once it is open (where the system allows), so that nothing is left behind however the process ends.
 * @throws what the stream or the file system throws; InterruptedError
 */
export async function spool(
  stream: AsyncIterable<unknown>,
  {dir = tmpdir(), memory = new SpoolMemory(MEMORY_BYTES), signal}: SpoolOptions = {},
): Promise<Spooled> {
  const hash = createHash('sha256')
  const kept = new Kept(dir, memory)
  try {
    await drain(stream as AsyncIterable<Uint8Array>, (piece) => {
      throwIfAborted(signal)
      hash.update(piece)
      return kept.add(piece)
    })
    const sha256 = hash.digest('hex')
    return {...(await kept.source(`sha256:${sha256}`)), sha256}
  } catch (error) {
    await kept.dispose()
    throw error
  }
}

/** Bytes in memory as long as there is some, and then in a file. */
class Kept {
  /** Bytes in the last one of `#pieces`. */
  #at = 0
  readonly #dir: string
  #file: SpoolFile | undefined
  readonly #gatherer: Gatherer
  readonly #memory: SpoolMemory
  #pieces: Buffer[] = []
  #size = 0

  constructor(dir: string, memory: SpoolMemory) {
    this.#dir = dir
    this.#memory = memory
    this.#gatherer = new Gatherer(async (piece) => this.#file!.write(piece), WRITE_BYTES)
  }

  /** Takes a copy. */
  add(chunk: Buffer): Promise<void> | void {
    this.#size += chunk.length
    if (this.#file) return this.#gatherer.add(chunk)
    for (let rest = chunk; rest.length > 0;) {
      const piece = this.#last()
      if (!piece) return this.#moveToFile(rest)
      const count = rest.copy(piece, this.#at)
      this.#at += count
      rest = rest.subarray(count)
    }
  }

  async dispose(): Promise<void> {
    this.#release()
    await this.#file?.dispose()
  }

  async source(digest: string): Promise<Omit<Spooled, 'sha256'>> {
    const size = this.#size
    const spooled = {dispose: async () => this.dispose(), size}
    if (!this.#file) return {...spooled, open: (range) => readableOfAll(this.#cut(range)), proves: digest}
    await this.#gatherer.flush()
    const {handle} = this.#file
    return {
      ...spooled,
      open: ({length, offset} = {offset: 0}) =>
        new FileBytes({
          end: length === undefined ? size : offset + length,
          file: handle,
          isShared: true,
          shortened: () => new LocalIoError('a spooled object has become shorter on the disk'),
          start: offset,
        }),
    }
  }

  /** The bytes in memory from `offset` on. */
  #cut({length, offset}: {readonly length?: number; readonly offset: number} = {offset: 0}): Buffer[] {
    const end = length === undefined ? this.#size : offset + length
    const slices: Buffer[] = []
    let at = 0
    for (const piece of this.#pieces) {
      const slice = piece.subarray(Math.max(0, offset - at), Math.max(0, Math.min(end, this.#size) - at))
      if (slice.length > 0) slices.push(slice)
      at += piece.length
    }

    return slices
  }

  /** @returns the piece that has room; none when there is no more memory */
  #last(): Buffer | undefined {
    const last = this.#pieces.at(-1)
    if (last && this.#at < last.length) return last
    const next = last ? this.#memory.take() : Buffer.allocUnsafeSlow(FIRST_BYTES)
    if (!next) return undefined
    this.#pieces.push(next)
    this.#at = 0
    return next
  }

  async #moveToFile(rest: Buffer): Promise<void> {
    this.#file = await SpoolFile.create(this.#dir)
    for (const piece of this.#pieces) await this.#file.write(piece)
    this.#release()
    await this.#gatherer.add(rest)
  }

  #release(): void {
    this.#memory.give(this.#pieces.slice(1))
    this.#pieces = []
  }
}

class SpoolFile {
  readonly handle: FileHandle
  readonly #dir: string
  readonly #path: string | undefined

  private constructor(handle: FileHandle, dir: string, path: string | undefined) {
    this.handle = handle
    this.#dir = dir
    this.#path = path
  }

  static async create(dir: string): Promise<SpoolFile> {
    const path = temporaryPath(dir, 'spool')
    const handle = await open(path, 'wx+', 0o600).catch((error: unknown) => {
      throw temporaryFileError(error, dir)
    })
    const unlinked = await rm(path).then(
      () => true,
      () => false,
    )
    return new SpoolFile(handle, dir, unlinked ? undefined : path)
  }

  async dispose(): Promise<void> {
    await this.handle.close()
    if (this.#path !== undefined) await rm(this.#path, {force: true})
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.handle.writeFile(bytes)
    } catch (error) {
      throw temporaryFileError(error, this.#dir)
    }
  }
}
