import {createHash} from 'node:crypto'
import {createReadStream} from 'node:fs'
import {stat} from 'node:fs/promises'

import {InvalidArgumentError, NotFoundError} from '../errors.js'
import {abortable} from '../util/abort.js'
import {fileSource} from '../util/content-source.js'
import {drain} from '../util/drain.js'
import {spool, type Spooled} from '../util/spool.js'

/**
 * What a command is to store: a file, read in place, or standard input (`-`), kept until the upload is over.
 * @throws NotFoundError | InvalidArgumentError
 */
export async function openInput(path: string, signal: AbortSignal): Promise<Spooled> {
  if (path === '-') {
    if (process.stdin.isTTY) {
      throw new InvalidArgumentError('standard input is a terminal: nothing to read', {
        suggestions: ['Give a FILE, or pipe the object in.'],
      })
    }

    return spool(abortingStdin(signal), {signal})
  }

  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new NotFoundError(`${path}: no such file`, {cause: error}) : error
  })
  // A pipe or a device has no length and cannot be read twice.
  if (!found.isFile()) {
    if (found.isDirectory()) throw new InvalidArgumentError(`${path}: is a folder`)
    return spool(createReadStream(path), {signal})
  }

  const source = fileSource(path, found.size)
  const hash = createHash('sha256')
  await drain(abortable(source.open(), signal), (piece) => {
    hash.update(piece)
  })
  return {...source, async dispose() {}, sha256: hash.digest('hex')}
}

/** Standard input, let go of when the signal aborts. */
async function* abortingStdin(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const abort = () => process.stdin.destroy(signal.reason as Error)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, {once: true})
  try {
    for await (const chunk of process.stdin) yield chunk as Uint8Array
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
