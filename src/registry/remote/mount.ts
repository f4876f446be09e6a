import type {Descriptor} from '../descriptor.js'
import type {CallOptions} from '../interfaces.js'
import type {RemoteContext} from './context.js'

import {type Digest, parseDigest} from '../digest.js'
import {responseError} from '../errors.js'
import {isRepositoryName} from '../reference.js'
import {discard} from '../transport/body.js'
import {isTemporaryStatus} from '../transport/retry.js'
import {UploadSession} from './upload-session.js'

/** So many blobs in a row that a repository did not give: it is not asked again. */
const MAX_DECLINED = 3

/** Cross-repository mounts: an optimisation, so every answer but a plain yes is a no. */
export class BlobMounter {
  readonly #context: RemoteContext
  readonly #declined = new Map<string, number>()
  readonly #exists: (digest: Digest, options: CallOptions) => Promise<boolean>
  #trusted = false

  /** @param exists asks the registry for a blob */
  constructor(context: RemoteContext, exists: (digest: Digest, options: CallOptions) => Promise<boolean>) {
    this.#context = context
    this.#exists = exists
  }

  /** @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository */
  async mount(target: Descriptor, from: string, {signal}: CallOptions): Promise<boolean> {
    const digest = parseDigest(target.digest)
    const declined = this.#declined.get(from) ?? 0
    if (declined >= MAX_DECLINED || !isRepositoryName(from)) return false
    const response = await this.#context.send({
      access: 'push',
      method: 'POST',
      pullsFrom: from,
      retry: 'safe',
      signal,
      url: this.#context.urls.mount(digest, from),
    })
    if (response.status === 201) {
      await discard(response.body)
      // The first yes is looked at: some registries say it to everything.
      this.#trusted ||= await this.#exists(digest, {signal})
      this.#declined.set(from, this.#trusted ? 0 : MAX_DECLINED)
      if (!this.#trusted || !this.#context.durable) return this.#trusted
      return this.#exists(digest, {signal})
    }

    if (isTemporaryStatus(response.status)) throw await responseError(response, 'POST')
    await discard(response.body)
    const refused = response.status !== 202
    this.#declined.set(from, refused ? MAX_DECLINED : declined + 1)
    if (!refused) await new UploadSession(this.#context, response).cancel()
    return false
  }
}
