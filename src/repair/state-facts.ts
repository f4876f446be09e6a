import type {Mac} from '../kloset/mac.js'
import type {CallOptions} from '../registry/interfaces.js'
import type {Copy} from './sources/source.js'
import type {StoreKeys} from './store-keys.js'

import {blobKey, blobTypeName} from '../kloset/blob-type.js'
import {EnvelopeChecker, EnvelopeWindow} from '../kloset/envelope.js'
import {StateDecoder} from '../kloset/state.js'

/** What a state that decodes to more than this says is not worth its memory. */
const MAX_STATE_BYTES = 64 * 1024 ** 3

/** What a copy of a state says. */
export interface CopiedState {
  /** Its own name, when all the packfiles that it made known name the same one. */
  readonly name: Mac | undefined
  readonly packfiles: readonly Mac[]
  /** Of the blobs that were asked for: the packfiles that it places them in. */
  readonly places: ReadonlySet<Mac>
}

export interface StateFactsOptions extends CallOptions {
  /** Blobs that are looked for: `blobKey` of the name of their type. */
  readonly placing?: ReadonlySet<string> | undefined
}

/** Reads a copy of a state; none when it is not sound. */
export async function readStateFacts(
  copy: Copy,
  {codec, contents}: StoreKeys,
  {placing, signal}: StateFactsOptions = {},
): Promise<CopiedState | undefined> {
  if (!codec) return undefined
  return contents.lend('state', async (hasher) => {
    const checker = new EnvelopeChecker(hasher)
    const window = new EnvelopeWindow(copy.size)
    const stream = await copy.open({signal})
    async function* data(): AsyncGenerator<Buffer> {
      for await (const piece of stream) {
        const chunk = piece as Buffer
        checker.update(chunk)
        const part = window.cut(chunk)
        if (part.length > 0) yield part
      }
    }

    const names = new Set<Mac>()
    const packfiles: Mac[] = []
    const places = new Set<Mac>()
    let decoder: StateDecoder | undefined
    for await (const part of codec.decodeStream(data(), MAX_STATE_BYTES)) {
      decoder ??= new StateDecoder(checker.header(copy.name)!.version, copy.name)
      for (const entry of decoder.push(part)) {
        if (placing && entry.kind === 'location' && placing.has(blobKey(blobTypeName(entry.type), entry.mac))) {
          places.add(entry.packfile)
        }

        if (entry.kind !== 'packfile') continue
        names.add(entry.state)
        packfiles.push(entry.packfile)
      }
    }

    decoder?.end()
    if (!decoder || !checker.finish(copy.name).authentic) return
    return {name: names.size === 1 ? [...names][0] : undefined, packfiles, places}
  })
}
