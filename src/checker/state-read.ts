import type {Codec} from '../kloset/codec/codec.js'
import type {Mac} from '../kloset/mac.js'
import type {StateEntry} from '../kloset/state.js'
import type {Timestamp} from '../kloset/timestamp.js'
import type {CheckContext, Subject} from './context.js'

import {IntegrityError, StoreFormatError} from '../errors.js'
import {BLOB_TYPES} from '../kloset/blob-type.js'
import {checkHeader, EnvelopeChecker, EnvelopeWindow} from '../kloset/envelope.js'
import {readObjectManifest} from '../kloset/object-manifest.js'
import {StateDecoder} from '../kloset/state.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {MacList} from './mac-list.js'

/** A state tells of a million blobs in some hundred megabytes; what decompresses to more than this does not. */
const MAX_STATE_BYTES = 64 * 1024 ** 3

/** What a state says of packfiles. */
export interface StateFacts {
  readonly coloured: readonly {readonly mac: Mac; readonly when: Timestamp}[]
  readonly known: Iterable<Mac>
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
    const checker = new EnvelopeChecker(hasher)
    const window = new EnvelopeWindow(size)
    const facts = new FactCollector()
    const failure = await collectFacts({checker, codec, facts, onBytes, stream, tag, window})
    failures.succeeded()
    const {authentic, type, version} = checker.finish(tag)
    // What failed to decode was damaged, then: the MAC says so better than the decoder.
    if (authentic === false) {
      throw new IntegrityError(`${tag}: its MAC does not match its content`, {
        facts: {digest: manifest.layer, mac: false},
      })
    }

    checkHeader({type, version}, 'state', tag)
    if (failure !== undefined) throw failure
    return facts
  })
}

interface Source {
  readonly checker: EnvelopeChecker
  readonly codec: Codec
  readonly facts: FactCollector
  readonly onBytes: ((count: number) => void) | undefined
  readonly stream: AsyncIterable<Buffer>
  readonly tag: string
  readonly window: EnvelopeWindow
}

/**
 * Takes the stream in to its end, so that its MAC is known whatever is in it.
 * @returns the decoder's error, if it had one
 */
async function collectFacts({checker, codec, facts, onBytes, stream, tag, window}: Source): Promise<unknown> {
  const chunks = stream[Symbol.asyncIterator]()
  let failure: unknown
  let isOver = false
  let streamFailed = false
  async function* data(): AsyncGenerator<Buffer> {
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        streamFailed = true
        throw error
      })
      if (next.done) {
        isOver = true
        return
      }

      checker.update(next.value)
      onBytes?.(next.value.length)
      const part = window.cut(next.value)
      if (part.length > 0) yield part
    }
  }

  try {
    let decoder: StateDecoder | undefined
    for await (const part of codec.decodeStream(data(), MAX_STATE_BYTES)) {
      decoder ??= new StateDecoder(versionOf(checker, tag), tag)
      for (const entry of decoder.push(part)) facts.take(entry)
    }

    if (!decoder) throw new StoreFormatError(`${tag}: is empty`)
    decoder.end()
  } catch (error) {
    if (streamFailed) throw error
    failure = error
  }

  while (!isOver) {
    const next = await chunks.next()
    isOver = next.done === true
    if (next.done) break
    checker.update(next.value)
    onBytes?.(next.value.length)
  }

  return failure
}

function versionOf(checker: EnvelopeChecker, tag: string): number {
  const header = checker.header(tag)
  if (!header) throw new StoreFormatError(`${tag}: ended within its header`)
  checkHeader(header, 'state', tag)
  return header.version
}

class FactCollector implements StateFacts {
  readonly coloured: {readonly mac: Mac; readonly when: Timestamp}[] = []
  readonly known = new MacList()
  readonly removed = new MacList()
  readonly uncoloured = new MacList()

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
        break
      }

      default: {
        break
      }
    }
  }
}
