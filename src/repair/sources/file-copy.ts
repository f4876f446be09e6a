import {lstat} from 'node:fs/promises'

import type {Copy} from './source.js'

import {abortable} from '../../util/abort.js'
import {fileSource} from '../../util/content-source.js'
import {errnoOf, localIoError} from '../../util/fs-error.js'

/** A file as a copy; none when there is no such regular file. */
export async function fileCopy(path: string): Promise<Copy | undefined> {
  try {
    const stats = await lstat(path)
    if (!stats.isFile()) return undefined
    const source = fileSource(path, stats.size)
    return {name: path, open: async ({signal} = {}) => abortable(source.open(), signal), size: stats.size}
  } catch (error) {
    if (['EACCES', 'ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined
    throw localIoError(error, 'read', path)
  }
}
