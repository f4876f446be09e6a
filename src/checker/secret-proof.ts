import type {Secret} from '../kloset/codec/secret.js'
import type {CheckContext} from './context.js'

import {KlosetOciError} from '../errors.js'
import {EnvelopeChecker} from '../kloset/envelope.js'
import {createHasher, HASHINGS} from '../kloset/hashing.js'
import {readObjectManifest} from '../kloset/object-manifest.js'
import {meaningOf} from '../kloset/resource.js'
import {MEDIA_TYPE} from '../registry/media-types.js'

/** Objects of each kind that are asked, the small ones first: one that is sound is enough. */
const MAX_ASKED = {packfile: 2, state: 3} as const

/**
 * Whether some state or packfile was sealed with the secret: then it is the store's, whatever the configuration says of
 * it. What cannot be read proves nothing.
 */
export async function isSecretOf(
  secret: Secret,
  {repository, signal}: Pick<CheckContext, 'repository' | 'signal'>,
): Promise<boolean> {
  const asked: Record<keyof typeof MAX_ASKED, string[]> = {packfile: [], state: []}
  for await (const tag of repository.tags({signal})) {
    const meaning = meaningOf(tag)
    if (meaning.kind !== 'object' || meaning.resource === 'lock') continue
    const {resource} = meaning
    if (asked[resource].length < MAX_ASKED[resource]) asked[resource].push(tag)
    if (asked.state.length === MAX_ASKED.state && asked.packfile.length === MAX_ASKED.packfile) break
  }

  for (const tag of [...asked.state, ...asked.packfile]) {
    if (await isSealedWith(secret, tag, {repository, signal})) return true
  }

  return false
}

async function isSealedWith(
  secret: Secret,
  tag: string,
  {repository, signal}: Pick<CheckContext, 'repository' | 'signal'>,
): Promise<boolean> {
  try {
    // The configuration's word on the hashing may be what was damaged.
    const checkers = await Promise.all(
      HASHINGS.map(async (hashing) => new EnvelopeChecker(await createHasher(hashing, secret.bytes))),
    )
    const {layer} = readObjectManifest(await repository.manifests.get(tag, {signal}), tag)
    const target = {digest: layer, mediaType: MEDIA_TYPE.octetStream, size: -1}
    for await (const chunk of (await repository.blobs.fetch(target, {signal})) as AsyncIterable<Buffer>) {
      for (const checker of checkers) checker.update(chunk)
    }

    return checkers.some((checker) => checker.finish(tag).authentic)
  } catch (error) {
    if (signal?.aborted || !(error instanceof KlosetOciError)) throw error
    return false
  }
}
