import {lstat} from 'node:fs/promises'
import {join, resolve} from 'node:path'

import type {Repository} from '../../registry/interfaces.js'
import type {Source} from './source.js'

import {InvalidArgumentError, NotFoundError} from '../../errors.js'
import {FsStoreSource} from './fs-source.js'
import {StoreSource} from './store-source.js'

/** Opens a store for reading. */
export type OpenRepository = (location: string) => Promise<Repository>

/**
 * Opens a place where copies are looked for: a store (`oci://…`, `oci-layout:PATH`), a store that plakar keeps in a
 * folder (`fs://PATH`), or a path that is recognised by what lies there.
 * @throws InvalidArgumentError | NotFoundError
 */
export async function openSource(text: string, openRepository: OpenRepository): Promise<Source> {
  if (/^oci(?:-layout)?:/.test(text)) return new StoreSource(await openRepository(text))
  if (text.startsWith('fs:')) return openFolder(text.replace(/^fs:(?:\/\/)?/, ''), text)
  if (/^[a-z][a-z+.-]*:\/\//i.test(text)) {
    throw new InvalidArgumentError(`${text}: not a source that is known`, {
      suggestions: ['Sources are oci://HOST/PATH, oci-layout:PATH, fs://PATH and folders.'],
    })
  }

  if (await isThere(join(text, 'oci-layout'))) return new StoreSource(await openRepository(`oci-layout:${text}`))
  return openFolder(text, text)
}

async function openFolder(path: string, text: string): Promise<Source> {
  const root = resolve(path)
  if (!(await isThere(root))) throw new NotFoundError(`${text}: no such folder`)
  return new FsStoreSource(root)
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
