import type {Codec} from '../kloset/codec/codec.js'
import type {Mac} from '../kloset/mac.js'
import type {StateEntry} from '../kloset/state.js'
import type {Timestamp} from '../kloset/timestamp.js'
import type {CheckContext, Subject} from './context.js'

import {hasCode} from '../errors.js'
import {BLOB_TYPES} from '../kloset/blob-type.js'
import {readObjectManifest} from '../kloset/object-manifest.js'
import {readStateStream} from '../kloset/state.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {MacList} from './mac-list.js'
import {OwnName} from './state-names.js'

/** What a state says of packfiles. */
export interface StateFacts {
  readonly coloured: readonly {readonly mac: Mac; readonly when: Timestamp}[]
  readonly known: Iterable<Mac>
  /** The state that it says it is; none when it says nothing of it. */
  readonly name: Mac | undefined
  readonly removed: Iterable<Mac>
  readonly uncoloured: Iterable<Mac>
}

/**
 * Reads a state as a stream, and believes it only when its MAC was right.
 * @throws NotFoundError | IntegrityError | StoreFormatError | VersionError, or a transport error
 */
export async function readState(
  {tag}: Subject,
  {codec, failures, keys, onBytes, repository, signal}: CheckContext & {readonly codec: Codec},
): Promise<StateFacts> {
  const manifest = readObjectManifest(await repository.manifests.get(tag, {signal}), tag)
  const {size} = await repository.blobs.resolve(manifest.layer, {signal})
  const target = {digest: manifest.layer, mediaType: MEDIA_TYPE.octetStream, size}
  return keys.lend('state', async (hasher) => {
    const stream = await repository.blobs.fetch(target, {signal})
    const facts = new FactCollector()
    const source = {codec, hasher, size, stream: stream as AsyncIterable<Buffer>, what: tag}
    try {
      await readStateStream(source, {
        onEntry: (entry) => facts.take(entry),
        onStored: (bytes) => onBytes?.(bytes.length),
      })
    } catch (error) {
      // What is no sound state is an answer too.
      if (hasCode(error, 'STORE_FORMAT') || hasCode(error, 'VERSION')) failures.succeeded()
      throw error
    }

    failures.succeeded()
    return facts
  })
}

class FactCollector implements StateFacts {
  readonly coloured: {readonly mac: Mac; readonly when: Timestamp}[] = []
  readonly known = new MacList()
  readonly removed = new MacList()
  readonly uncoloured = new MacList()
  readonly #name = new OwnName()

  get name(): Mac | undefined {
    return this.#name.value
  }

  take(entry: StateEntry): void {
    switch (entry.kind) {
      case 'coloured': {
        if (entry.type === BLOB_TYPES.packfile) this.coloured.push({mac: entry.mac, when: entry.when})
        break
      }

      case 'delete': {
        if (entry.entry === 'packfile') this.removed.add(entry.packfile)
        else if (entry.entry === 'coloured' && entry.type === BLOB_TYPES.packfile) this.uncoloured.add(entry.mac)
        break
      }

      case 'packfile': {
        this.known.add(entry.packfile)
        this.#name.note(entry.state)
        break
      }

      default: {
        break
      }
    }
  }
}
