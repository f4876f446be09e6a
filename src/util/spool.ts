import {createHash} from 'node:crypto'
import {type FileHandle, open, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {Readable} from 'node:stream'

import {LocalIoError} from '../errors.js'
import {throwIfAborted} from './abort.js'
import {type ContentSource, readableOf} from './content-source.js'
import {temporaryFileError, temporaryPath} from './temporary-file.js'

const READ_BYTES = 256 * 1024

/** Written to a file in pieces of so much: what comes in is often cut small. */
const WRITE_BYTES = 1024 * 1024

/** Kept in memory up to this; what is longer goes to a file. */
const MEMORY_BYTES = 4 * 1024 * 1024

/** Memory that spools share: who gets none any more goes to a file. */
export class SpoolMemory {
  #free: number

  /** @param limit in bytes, of all together */
  constructor(limit: number) {
    this.#free = limit
  }

  give(bytes: number): void {
    this.#free += bytes
  }

  /** Whether there was so much. */
  take(bytes: number): boolean {
    if (bytes > this.#free) return false
    this.#free -= bytes
    return true
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
    for await (const piece of stream) {
      throwIfAborted(signal)
      const chunk = piece as Buffer
      hash.update(chunk)
      await kept.add(chunk)
    }

    return {...(await kept.source()), sha256: hash.digest('hex')}
  } catch (error) {
    await kept.dispose()
    throw error
  }
}

/** Bytes in memory as long as there is some, and then in a file. */
class Kept {
  readonly #dir: string
  #file: SpoolFile | undefined
  #held = 0
  readonly #memory: SpoolMemory
  #pieces: Buffer[] = []
  #size = 0
  /** Bytes of the pieces. */
  #waiting = 0

  constructor(dir: string, memory: SpoolMemory) {
    this.#dir = dir
    this.#memory = memory
  }

  /** Takes a copy. */
  async add(chunk: Buffer): Promise<void> {
    this.#pieces.push(Buffer.from(chunk))
    this.#size += chunk.length
    this.#waiting += chunk.length
    if (!this.#file) {
      if (this.#memory.take(chunk.length)) {
        this.#held += chunk.length
        return
      }

      this.#file = await SpoolFile.create(this.#dir)
    }

    if (this.#held > 0 || this.#waiting >= WRITE_BYTES) await this.#flush()
  }

  async dispose(): Promise<void> {
    this.#release()
    await this.#file?.dispose()
  }

  async source(): Promise<Omit<Spooled, 'sha256'>> {
    if (this.#file) await this.#flush()
    const handle = this.#file?.handle
    return {
      dispose: async () => this.dispose(),
      ...sourceOf(this.#size, (start, end) =>
        handle ? readPieces(handle, start, end) : slices(this.#pieces, start, end),
      ),
    }
  }

  async #flush(): Promise<void> {
    for (const piece of joined(this.#pieces, WRITE_BYTES)) await this.#file!.write(piece)
    this.#release()
  }

  #release(): void {
    this.#memory.give(this.#held)
    this.#held = 0
    this.#pieces = []
    this.#waiting = 0
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

function sourceOf(size: number, read: (start: number, end: number) => AsyncIterable<Buffer> | Iterable<Buffer>) {
  return {
    open({length, offset}: {readonly length?: number; readonly offset: number} = {offset: 0}) {
      const end = length === undefined ? size : offset + length
      return end <= offset ? readableOf(Buffer.alloc(0)) : Readable.from(read(offset, end), {objectMode: false})
    },
    size,
  }
}

/** Node's own file streams close the file when they are destroyed, and with it the source for everyone else. */
async function* readPieces(handle: FileHandle, start: number, end: number): AsyncGenerator<Buffer> {
  for (let at = start; at < end;) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - at))
    const {bytesRead} = await handle.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) throw new LocalIoError('a spooled object has become shorter on the disk')
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

function* slices(pieces: readonly Buffer[], start: number, end: number): Generator<Buffer> {
  let at = 0
  for (const piece of pieces) {
    const slice = piece.subarray(Math.max(0, start - at), Math.max(0, end - at))
    if (slice.length > 0) yield slice
    at += piece.length
  }
}

/** The same bytes in fewer pieces. */
function* joined(pieces: readonly Buffer[], length: number): Generator<Buffer> {
  let group: Buffer[] = []
  let size = 0
  for (const piece of pieces) {
    group.push(piece)
    size += piece.length
    if (size < length) continue
    yield Buffer.concat(group)
    ;[group, size] = [[], 0]
  }

  if (size > 0) yield Buffer.concat(group)
}
