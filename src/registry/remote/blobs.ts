import type {Readable} from 'node:stream'

import type {ContentSource} from '../../util/content-source.js'
import type {Descriptor} from '../descriptor.js'
import type {BlobStore, CallOptions, FetchOptions, Mounter, PushOptions} from '../interfaces.js'
import type {HttpResponse} from '../transport/http.js'
import type {RemoteContext} from './context.js'

import {isNotFound, NotFoundError, ProtocolError} from '../../errors.js'
import {type Digest, parseDigest} from '../digest.js'
import {expectStatus, RegistryResponseError} from '../errors.js'
import {MEDIA_TYPE} from '../media-types.js'
import {discard} from '../transport/body.js'
import {BlobReader} from './blob-reader.js'
import {BlobUploader} from './blob-uploader.js'
import {checkDigestHeader, contentLength, contentRange, mediaTypeOf} from './headers.js'
import {BlobMounter} from './mount.js'
import {expectDeleted} from './refusals.js'

/** HEAD is not offered for blobs. */
const NO_HEAD = new Set([400, 405, 501])

/** Blobs of a registry's repository. */
export class RemoteBlobs implements BlobStore, Mounter {
  readonly #context: RemoteContext
  readonly #mounter: BlobMounter
  readonly #reader: BlobReader
  readonly #uploader: BlobUploader

  constructor(context: RemoteContext) {
    this.#context = context
    this.#mounter = new BlobMounter(context, async (digest, options) => this.#exists(digest, options))
    this.#reader = new BlobReader(context, async ({digest}, options) => {
      const {size} = await this.resolve(digest, options)
      return size
    })
    this.#uploader = new BlobUploader(context, async (digest, options) => this.#sizeOf(digest, options))
  }

  async delete(digest: Digest, {signal}: CallOptions = {}): Promise<void> {
    const url = this.#context.urls.blob(parseDigest(digest))
    const response = await this.#context.send({access: 'delete', method: 'DELETE', retry: 'safe', signal, url})
    try {
      await expectDeleted(response, `blob ${digest}`)
    } catch (error) {
      // go-containerregistry's registry fails at what is not there.
      const failed = error instanceof RegistryResponseError && error.status >= 500
      if (!failed || (await this.#exists(digest, {signal}))) throw error
      throw new NotFoundError(`blob ${digest}: not there`, {cause: error, facts: {digest}})
    }
  }

  async fetch(target: Descriptor, {range, signal}: FetchOptions = {}): Promise<Readable> {
    parseDigest(target.digest)
    return range ? this.#reader.range(target, range, {signal}) : this.#reader.whole(target, {signal})
  }

  async mount(target: Descriptor, from: string, options: CallOptions = {}): Promise<boolean> {
    return this.#mounter.mount(target, from, options)
  }

  async push(target: Descriptor, source: ContentSource, options: PushOptions = {}): Promise<boolean> {
    parseDigest(target.digest)
    return this.#uploader.push(target, source, options)
  }

  async resolve(reference: string, options: CallOptions = {}): Promise<Descriptor> {
    const digest = parseDigest(reference)
    const {capabilities, urls} = this.#context
    if (capabilities.headBlobs) {
      const url = urls.blob(digest)
      const response = await this.#context.send({access: 'pull', method: 'HEAD', signal: options.signal, url})
      if (NO_HEAD.has(response.status)) {
        await discard(response.body)
      } else {
        await expectStatus(response, [200], 'HEAD')
        await discard(response.body)
        checkDigestHeader(response, digest, `blob ${digest}`)
        const size = contentLength(response)
        if (size !== undefined) return describe(digest, size, response)
      }

      capabilities.headBlobs = false
    }

    return this.#resolveByGet(digest, options)
  }

  async #exists(digest: Digest, options: CallOptions): Promise<boolean> {
    return (await this.#sizeOf(digest, options)) !== undefined
  }

  /** The first byte tells the size of the whole; so does the length of all of it, where ranges are ignored. */
  async #resolveByGet(digest: Digest, {signal}: CallOptions): Promise<Descriptor> {
    const what = `blob ${digest}`
    const url = this.#context.urls.blob(digest)
    const headers = {range: 'bytes=0-0'}
    const response = await this.#context.send({access: 'pull', headers, method: 'GET', signal, url})
    if (response.status === 416) {
      // Not even a first byte: an empty blob.
      await discard(response.body)
      return describe(digest, 0, response)
    }

    await expectStatus(response, [200, 206], 'GET')
    checkDigestHeader(response, digest, what)
    const size = response.status === 206 ? contentRange(response)?.total : contentLength(response)
    if (response.status === 206) await discard(response.body)
    else response.body.destroy()
    if (size !== undefined) return describe(digest, size, response)
    throw new ProtocolError(`${what}: the registry does not tell its size`, {facts: {digest}})
  }

  async #sizeOf(digest: Digest, options: CallOptions): Promise<number | undefined> {
    try {
      const {size} = await this.resolve(digest, options)
      return size
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }
}

function describe(digest: Digest, size: number, response: HttpResponse): Descriptor {
  return {digest, mediaType: mediaTypeOf(response) || MEDIA_TYPE.octetStream, size}
}
