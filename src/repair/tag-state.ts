import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {TagState} from './plan/types.js'

import {hasCode, isNotFound} from '../errors.js'
import {parseManifestJson} from '../registry/manifest.js'
import {isStandIn} from '../registry/stand-in-note.js'

/**
 * What a tag leads to now.
 * @throws transport errors: what could not be asked is not known
 */
export async function tagStateOf(repository: Repository, tag: string, options?: CallOptions): Promise<TagState> {
  try {
    return (await repository.manifests.resolve(tag, options)).digest
  } catch (error) {
    if (isNotFound(error)) return 'absent'
    if (hasCode(error, 'INTEGRITY') || hasCode(error, 'PROTOCOL')) return 'unreadable'
    throw error
  }
}

/**
 * Whether a tag leads to a stand-in: a process of ours was cut off while it removed the tag from a registry that lets no
 * tag go alone.
 */
export async function isBeingRemoved(repository: Repository, tag: string, options?: CallOptions): Promise<boolean> {
  try {
    const {bytes} = await repository.manifests.get(tag, options)
    return isStandIn(parseManifestJson(bytes, tag))
  } catch (error) {
    if (isNotFound(error)) return false
    if (hasCode(error, 'INTEGRITY') || hasCode(error, 'PROTOCOL') || hasCode(error, 'STORE_FORMAT')) return false
    throw error
  }
}
