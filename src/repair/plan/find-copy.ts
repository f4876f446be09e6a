import type {CallOptions} from '../../registry/interfaces.js'
import type {Source, Wanted} from '../sources/source.js'
import type {StoreKeys} from '../store-keys.js'
import type {SoundCopy} from './overlay.js'
import type {Origin} from './types.js'

import {hasCode, isNotFound} from '../../errors.js'
import {judgeObject} from '../proof.js'

export interface FindOptions extends CallOptions {
  /** Whether a source is a copy of this store by its CONFIG: what counts where no MAC can be checked. */
  readonly isSameStore: (source: number) => Promise<boolean>
  readonly keys: StoreKeys | undefined
  readonly onBytes?: ((count: number) => void) | undefined
  readonly sources: readonly Source[]
}

/** A copy that was read to its end and is the object. */
export interface FoundCopy {
  readonly copy: SoundCopy
  readonly origin: Origin
}

/** The first sound copy in the order of the sources; those that are damaged themselves are passed over. */
export async function findCopy(wanted: Wanted, options: FindOptions): Promise<FoundCopy | undefined> {
  let first: FoundCopy | undefined
  for await (const found of soundCopies(wanted, options)) {
    first = found
    if (first) break
  }

  return first
}

/** Every sound copy, the likeliest first. @yields copies, each read to its end */
export async function* soundCopies(wanted: Wanted, options: FindOptions): AsyncGenerator<FoundCopy> {
  const {isSameStore, keys, onBytes, signal, sources} = options
  for (const [source, place] of sources.entries()) {
    for await (const copy of place.copies(wanted, {signal})) {
      try {
        const judged = await judgeObject(wanted, await copy.open({signal}), {keys, size: copy.size})
        onBytes?.(judged.size)
        if (judged.problem !== undefined) continue
        if (copy.digest !== undefined && copy.digest !== judged.digest) continue
        const proof = judged.isAuthentic
          ? 'mac'
          : judged.digest === wanted.digest
            ? 'digest'
            : place.kind !== 'self' && (await isSameStore(source))
              ? 'same-store'
              : undefined
        if (!proof) continue
        const {digest, size} = judged
        yield {copy: {...copy, digest, size}, origin: {digest, proof, size, source}}
      } catch (error) {
        if (!isNotFound(error) && !hasCode(error, 'INTEGRITY') && !hasCode(error, 'STORE_FORMAT')) throw error
      }
    }
  }
}
