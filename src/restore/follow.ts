import type {Entry, Filesystem} from '../kloset/snapshot/index.js'

import {InvalidArgumentError} from '../errors.js'
import {kindOfMode} from '../kloset/snapshot/index.js'
import {pathInSnapshot} from './selection.js'

/** As many as Linux follows. */
const MAX_LINKS = 40

/**
 * The entry at a path, symbolic links at its end followed within the snapshot.
 * @throws NotFoundError when there is no such path, or a link leads to none
 * @throws InvalidArgumentError when links lead in a circle
 */
export async function followLinks(files: Filesystem, path: string): Promise<Entry> {
  let entry = await files.lookup(path)
  for (let links = 0; kindOfMode(entry.info.mode) === 'symlink'; links++) {
    if (links === MAX_LINKS) throw new InvalidArgumentError(`${JSON.stringify(path)}: too many symbolic links`)
    const parent = entry.path.slice(0, entry.path.lastIndexOf('/'))
    entry = await files.lookup(pathInSnapshot(parent, entry.symlinkTarget))
  }

  return entry
}
