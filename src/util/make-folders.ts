import fs from 'node:fs/promises'
import {dirname, resolve} from 'node:path'

import {errnoOf} from './fs-error.js'

/**
 * Makes a folder and those above it that are missing. Where Node's own `recursive` says ENOENT of what cannot be made,
 * on a read-only file system for one, the first missing folder is made alone, which says why.
 * @throws the system's error
 */
export async function makeFolders(path: string): Promise<void> {
  try {
    await fs.mkdir(path, {recursive: true})
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    await fs.mkdir(await firstMissing(resolve(path)))
    await fs.mkdir(path, {recursive: true})
  }
}

async function firstMissing(path: string): Promise<string> {
  for (let at = path, above = dirname(at); above !== at; at = above, above = dirname(at)) {
    if (await exists(above)) return at
  }

  return path
}

async function exists(path: string): Promise<boolean> {
  return fs.stat(path).then(
    () => true,
    () => false,
  )
}
