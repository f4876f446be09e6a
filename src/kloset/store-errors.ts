import type {ObjectLocation} from './object-index.js'

import {KlosetOciError, NotFoundError} from '../errors.js'
import {isInFolder} from '../registry/reference.js'
import {CONFIG_TAG} from './resource.js'

/** The tag is there and what it points at is not: damage, whoever took it. */
export function contentMissing(location: string, tag: string, at: ObjectLocation, cause: unknown): KlosetOciError {
  return new KlosetOciError('DAMAGE', `${location}: ${tag} is there but its content ${at.layer} is not`, {
    cause,
    facts: {digest: at.layer, manifest: at.manifest, tag},
    suggestions: [
      isInFolder(location)
        ? 'Stop what cleans up in the folder, then look for the blob in a mirror, or in a copy or snapshot of the folder.'
        : "Stop the registry's garbage collection, then look for the blob in a mirror, a copy or the registry's backup.",
    ],
  })
}

export function objectMissing(location: string, tag: string, cause: unknown): NotFoundError {
  if (tag === CONFIG_TAG) {
    return new NotFoundError(`${location}: no ${CONFIG_TAG}`, {
      cause,
      facts: {tag},
      suggestions: ['`gc-check` says whether a store is there that has lost it; do not run `create` over one.'],
    })
  }

  return new NotFoundError(`${location}: no ${tag}`, {
    cause,
    facts: {tag},
    suggestions: ['`ls` shows what is there.'],
  })
}
