import type {Codec} from '../kloset/codec/codec.js'
import type {CheckContext, Subject} from './context.js'

import {hasCode} from '../errors.js'
import {readObjectManifest} from '../kloset/object-manifest.js'
import {readStateStream} from '../kloset/state.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {StateNotes} from './state-book.js'

/**
 * What a state says of packfiles: reads it as a stream, and believes it only when its MAC was right.
 * @throws NotFoundError | IntegrityError | StoreFormatError | VersionError, or a transport error
 */
export async function readState(
  {tag}: Subject,
  {codec, failures, keys, onBytes, repository, signal}: CheckContext & {readonly codec: Codec},
): Promise<StateNotes> {
  const manifest = readObjectManifest(await repository.manifests.get(tag, {signal}), tag)
  const {size} = await repository.blobs.resolve(manifest.layer, {signal})
  const target = {digest: manifest.layer, mediaType: MEDIA_TYPE.octetStream, size}
  return keys.lend('state', async (hasher) => {
    const stream = await repository.blobs.fetch(target, {signal})
    const notes = new StateNotes()
    const source = {codec, hasher, size, stream: stream as AsyncIterable<Buffer>, what: tag}
    try {
      await readStateStream(source, {
        onEntry: (entry) => notes.take(entry),
        onStored: (bytes) => onBytes?.(bytes.length),
      })
    } catch (error) {
      // What is no sound state is an answer too.
      if (hasCode(error, 'STORE_FORMAT') || hasCode(error, 'VERSION')) failures.succeeded()
      throw error
    }

    failures.succeeded()
    return notes.end()
  })
}
