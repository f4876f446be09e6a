import {createHash, randomBytes} from 'node:crypto'
import {type FileHandle, open, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {Readable} from 'node:stream'

import {LocalIoError} from '../errors.js'
import {throwIfAborted} from './abort.js'
import {bufferSource, type ContentSource, readableOf} from './content-source.js'
import {localIoError} from './fs-error.js'

const READ_BYTES = 256 * 1024

/** Kept in memory up to this; what is longer goes to a file. */
const MEMORY_BYTES = 4 * 1024 * 1024

export interface SpoolOptions {
  /** Where the file is made, default the system's folder for temporary ones. */
  readonly dir?: string | undefined
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
  {dir = tmpdir(), signal}: SpoolOptions = {},
): Promise<Spooled> {
  const hash = createHash('sha256')
  let memory: Buffer[] = []
  let file: SpoolFile | undefined
  let size = 0
  try {
    for await (const piece of stream) {
      throwIfAborted(signal)
      const chunk = Buffer.from(piece as Uint8Array)
      hash.update(chunk)
      size += chunk.length
      if (file) await file.write(chunk)
      else memory.push(chunk)
      if (file || size <= MEMORY_BYTES) continue
      file = await SpoolFile.create(dir)
      for (const kept of memory) await file.write(kept)
      memory = []
    }
  } catch (error) {
    await file?.dispose()
    throw error
  }

  const sha256 = hash.digest('hex')
  const source = file ? fileOf(file, size) : {...bufferSource(Buffer.concat(memory)), async dispose() {}}
  return {...source, sha256}
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
    const path = join(dir, `kloset-oci-${randomBytes(8).toString('hex')}.spool`)
    const handle = await open(path, 'wx+', 0o600).catch((error: unknown) => {
      throw spoolError(error, dir)
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
      throw spoolError(error, this.#dir)
    }
  }
}

/** The file has no name by then: the folder is what can be helped. */
function spoolError(error: unknown, dir: string): Error {
  return localIoError(error, 'write a temporary file in', dir, ['Or set TMPDIR to a folder that has room for it.'])
}

function fileOf(file: SpoolFile, size: number) {
  return {
    dispose: async () => file.dispose(),
    open({length, offset}: {readonly length?: number; readonly offset: number} = {offset: 0}) {
      const end = length === undefined ? size - 1 : offset + length - 1
      if (end < offset) return readableOf(Buffer.alloc(0))
      return Readable.from(pieces(file.handle, offset, end + 1), {objectMode: false})
    },
    size,
  }
}

/** Node's own file streams close the file when they are destroyed, and with it the source for everyone else. */
async function* pieces(handle: FileHandle, start: number, end: number): AsyncGenerator<Buffer> {
  for (let at = start; at < end;) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - at))
    const {bytesRead} = await handle.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) throw new LocalIoError('a spooled object has become shorter on the disk')
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
