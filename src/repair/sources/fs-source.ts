import {opendir} from 'node:fs/promises'
import {join} from 'node:path'

import type {Resource} from '../../kloset/resource.js'
import type {CallOptions} from '../../registry/interfaces.js'
import type {ObjectName} from '../proof.js'
import type {Copy, Source, Wanted} from './source.js'

import {isMac, type Mac} from '../../kloset/mac.js'
import {tagOf} from '../../kloset/resource.js'
import {throwIfAborted} from '../../util/abort.js'
import {errnoOf, localIoError} from '../../util/fs-error.js'
import {fileCopy} from './file-copy.js'

const FOLDERS: Readonly<Record<Resource, string>> = {lock: 'locks', packfile: 'packfiles', state: 'states'}

/**
 * A store as plakar lays it into a folder (`fs://`): `CONFIG`, and each object under the first two digits of its MAC.
 * @see plakar's integration-fs storage
 */
export class FsStoreSource implements Source {
  readonly kind = 'fs'
  readonly location: string
  readonly #root: string

  constructor(root: string) {
    this.location = `fs://${root}`
    this.#root = root
  }

  async close(): Promise<void> {}

  async *copies({mac, resource}: Wanted): AsyncGenerator<Copy> {
    const paths =
      resource === 'config' ? [join(this.#root, 'CONFIG')] : mac === undefined ? [] : this.#paths(resource, mac)
    for (const path of paths) {
      const copy = await fileCopy(path)
      if (copy) yield copy
    }
  }

  async *states({signal}: CallOptions = {}): AsyncGenerator<ObjectName> {
    const root = join(this.#root, FOLDERS.state)
    for await (const bucket of namesIn(root)) {
      throwIfAborted(signal)
      for await (const name of namesIn(join(root, bucket))) {
        if (isMac(name)) yield {mac: name, resource: 'state', tag: tagOf('state', name)}
      }
    }
  }

  #paths(resource: Resource, mac: Mac): string[] {
    const folder = join(this.#root, FOLDERS[resource])
    return [join(folder, mac.slice(0, 2), mac), join(folder, mac)]
  }
}

async function* namesIn(path: string): AsyncGenerator<string> {
  try {
    for await (const {name} of await opendir(path)) yield name
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw localIoError(error, 'list', path)
  }
}
