import fs from 'node:fs/promises'
import {dirname, resolve} from 'node:path'

import {errnoOf} from './fs-error.js'

/**
 * Makes a folder and those above it that are missing, one by one. Node's own `recursive` tries for ever where a folder
 * is said not to exist that cannot be made in one that does, below `/proc` for one, and does not say why elsewhere.
 * @throws the system's error
 */
export async function makeFolders(path: string, options: {readonly mode?: number | undefined} = {}): Promise<void> {
  for (const folder of await missingOf(resolve(path))) {
    try {
      await fs.mkdir(folder, options)
    } catch (error) {
      // Somebody else was first.
      if (errnoOf(error) !== 'EEXIST' || !(await isFolder(folder))) throw error
    }
  }
}

/** The folders to make, the outermost first; what is no folder is left for the system to judge. */
async function missingOf(path: string): Promise<readonly string[]> {
  const missing: string[] = []
  for (let at = path; !(await isFolder(at)); at = dirname(at)) {
    missing.unshift(at)
    if (at === dirname(at)) break
  }

  return missing
}

/** Whether there is a folder, as far as can be seen. */
export async function isFolder(path: string): Promise<boolean> {
  return fs.stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
}
