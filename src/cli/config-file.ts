import {readFile, stat} from 'node:fs/promises'

import {InvalidArgumentError, NotFoundError} from '../errors.js'
import {MAX_CONFIG_BYTES} from '../kloset/store.js'
import {errnoOf, fileOperation} from '../util/fs-error.js'

/** A file that may be a saved CONFIG. @throws NotFoundError | InvalidArgumentError | LocalIoError */
export async function readConfigFile(path: string): Promise<Buffer> {
  const bytes = await readIfThere(path)
  if (!bytes) throw new NotFoundError(`${path}: no such file`, {facts: {path}})
  return bytes
}

export async function readIfThere(path: string): Promise<Buffer | undefined> {
  const there = await stat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return
    return fileOperation('read', path, () => Promise.reject(error))
  })
  if (!there) return undefined
  if (!there.isFile() || there.size > MAX_CONFIG_BYTES) {
    throw new InvalidArgumentError(`${path}: no saved configuration, that is a file of some hundred bytes`)
  }

  return fileOperation('read', path, () => readFile(path))
}
