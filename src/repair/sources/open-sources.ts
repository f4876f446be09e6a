import {lstat} from 'node:fs/promises'
import {basename, join, resolve} from 'node:path'

import type {Repository} from '../../registry/interfaces.js'
import type {Source} from './source.js'

import {InvalidArgumentError, NotFoundError} from '../../errors.js'
import {StateCacheSource} from './cache-source.js'
import {FilesSource} from './files-source.js'
import {FsStoreSource} from './fs-source.js'
import {StoreSource} from './store-source.js'

/** Opens a store for reading. */
export type OpenRepository = (location: string) => Promise<Repository>

/**
 * Opens a place where copies are looked for: a store (`oci://…`, `oci-layout:PATH`), a store that plakar keeps in a
 * folder (`fs://PATH`), its cache (`cache:PATH`), or a folder that is recognised by what lies there: a layout, plakar's store, loose files.
 * @throws InvalidArgumentError | NotFoundError
 */
export async function openSource(text: string, openRepository: OpenRepository): Promise<Source> {
  if (/^oci(?:-layout)?:/.test(text)) return new StoreSource(await openRepository(text))
  if (text.startsWith('fs:')) return new FsStoreSource(await folder(text.replace(/^fs:(?:\/\/)?/, ''), text))
  if (text.startsWith('cache:')) return new StateCacheSource(await folder(text.slice('cache:'.length), text))
  if (/^[a-z][a-z+.-]*:\/\//i.test(text)) {
    throw new InvalidArgumentError(`${text}: not a source that is known`, {
      suggestions: ['Sources are oci://HOST/PATH, oci-layout:PATH, fs://PATH, cache:PATH and folders.'],
    })
  }

  const root = await folder(text, text)
  if (basename(root) === 'state.db') return new StateCacheSource(root)
  if (await isThere(join(root, 'oci-layout'))) return new StoreSource(await openRepository(`oci-layout:${root}`))
  const isFsStore = (await isThere(join(root, 'packfiles'))) && (await isThere(join(root, 'states')))
  return isFsStore ? new FsStoreSource(root) : new FilesSource(root)
}

async function folder(path: string, text: string): Promise<string> {
  const root = resolve(path)
  if (await isThere(root)) return root
  throw new NotFoundError(`${text}: no such file or folder`)
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
