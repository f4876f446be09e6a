import type {Repository} from '../../registry/interfaces.js'
import type {Source} from '../sources/source.js'

import {readObjectManifest} from '../../kloset/object-manifest.js'
import {CONFIG_TAG} from '../../kloset/resource.js'
import {type Digest, Digester} from '../../registry/digest.js'
import {passOver} from '../sources/store-source.js'

/** Which sources are copies of a store by its CONFIG, byte for byte. Each is asked once. */
export class SameStore {
  readonly #answers = new Map<number, Promise<boolean>>()
  readonly #repository: Repository
  readonly #signal: AbortSignal | undefined
  readonly #sources: readonly Source[]

  constructor(repository: Repository, sources: readonly Source[], signal: AbortSignal | undefined) {
    this.#repository = repository
    this.#signal = signal
    this.#sources = sources
  }

  async is(source: number): Promise<boolean> {
    let answer = this.#answers.get(source)
    if (!answer) {
      answer = this.#ask(this.#sources[source]!)
      this.#answers.set(source, answer)
    }

    return answer
  }

  async #ask(source: Source): Promise<boolean> {
    const signal = this.#signal
    let digest: Digest
    try {
      digest = readObjectManifest(await this.#repository.manifests.get(CONFIG_TAG, {signal}), CONFIG_TAG).layer
    } catch (error) {
      passOver(error)
      return false
    }

    for await (const copy of source.copies({digest, resource: 'config', tag: CONFIG_TAG}, {signal})) {
      const digester = new Digester()
      try {
        for await (const chunk of await copy.open({signal})) digester.update(chunk as Buffer)
      } catch (error) {
        passOver(error)
        continue
      }

      if (digester.value() === digest) return true
    }

    return false
  }
}
