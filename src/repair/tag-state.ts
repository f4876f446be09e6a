import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {TagState} from './plan/types.js'

import {hasCode, isNotFound} from '../errors.js'

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
