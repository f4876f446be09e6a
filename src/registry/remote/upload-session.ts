import type {ContentSource} from '../../util/content-source.js'
import type {Digest} from '../digest.js'
import type {HttpResponse} from '../transport/http.js'
import type {RemoteContext} from './context.js'

import {ProtocolError} from '../../errors.js'
import {bufferSource} from '../../util/content-source.js'
import {MEDIA_TYPE} from '../media-types.js'
import {discard} from '../transport/body.js'
import {followed} from './urls.js'

/** An abandoned upload is not worth a longer wait. */
const CANCEL_MS = 5000

/**
 * How distribution 3 answers when its Location is older than the bytes that came since: asked where the upload stands, it
 * gives the one to use.
 */
const OTHER_OFFSET = 416

const OCTETS = {'content-type': MEDIA_TYPE.octetStream} as const

/** An upload under way at the registry, as its latest Location. */
export class UploadSession {
  /** Shortest chunk that the registry takes, but for the last. */
  readonly minChunkBytes: number
  readonly #context: RemoteContext
  #location: URL

  /**
   * @param response the 202 to a POST; its body is not needed any more
   * @throws ProtocolError when it has no usable Location
   */
  constructor(context: RemoteContext, response: HttpResponse) {
    this.#context = context
    this.#location = locationOf(response, response.url) ?? missingLocation(context.name)
    const minimum = response.headers['oci-chunk-min-length']?.trim() ?? ''
    this.minChunkBytes = /^\d{1,15}$/.test(minimum) ? Number(minimum) : 0
  }

  /** Tells the registry that nothing more will come. Best effort: it forgets the upload by itself in time. */
  async cancel(): Promise<void> {
    const signal = AbortSignal.timeout(CANCEL_MS)
    try {
      const refused = (await this.#tell('DELETE', signal)).status === OTHER_OFFSET
      if (!refused) return
      const {headers} = await this.#tell('GET', signal)
      this.#location = locationOf({headers}, this.#location) ?? this.#location
      await this.#tell('DELETE', signal)
    } catch {
      // The failure that led here is the one to report.
    }
  }

  /** Ends the upload; without `source` its bytes were sent before, in chunks. */
  async finish(digest: Digest, source: ContentSource | undefined, signal: AbortSignal | undefined) {
    return this.#context.send({
      access: 'push',
      body: source ?? bufferSource(Buffer.alloc(0)),
      headers: source ? OCTETS : {},
      method: 'PUT',
      retry: 'never',
      signal,
      url: withDigest(this.#location, digest),
    })
  }

  /**
   * Sends one chunk. How far the registry says it has come is not believed: some never count on, and the digest at the
   * end proves everything.
   */
  async patch(bytes: Buffer, offset: number, signal: AbortSignal | undefined): Promise<HttpResponse> {
    const response = await this.#context.send({
      access: 'push',
      body: bufferSource(bytes),
      headers: {...OCTETS, 'content-range': `${offset}-${offset + bytes.length - 1}`},
      method: 'PATCH',
      retry: 'never',
      signal,
      url: this.#location,
    })
    if (response.status >= 200 && response.status < 300) {
      this.#location = locationOf(response, this.#location) ?? this.#location
      await discard(response.body)
    }

    return response
  }

  async #tell(method: 'DELETE' | 'GET', signal: AbortSignal): Promise<HttpResponse> {
    const access = method === 'GET' ? 'push' : 'delete'
    const response = await this.#context.send({access, method, retry: 'never', signal, url: this.#location})
    await discard(response.body)
    return response
  }
}

/** @throws ProtocolError when the Location would carry the upload from https to plain http, or is no URL */
function locationOf({headers}: Pick<HttpResponse, 'headers'>, base: URL): undefined | URL {
  const text = headers['location']
  if (text === undefined || text === '') return undefined
  const url = followed(text, base)
  if (!url) throw new ProtocolError(`upload to ${base.host}: the Location is not an http or https URL`)
  if (base.protocol !== 'https:' || url.protocol === 'https:') return url
  throw new ProtocolError(`upload to ${base.host}: the Location leads from https to plain http at ${url.host}`, {
    facts: {host: url.host},
    suggestions: ['Tell the registry its outside address (distribution: http.host), or have the proxy pass it on.'],
  })
}

function missingLocation(name: string): never {
  throw new ProtocolError(`upload to ${name}: started (202) without a Location to send the content to`)
}

/** The registry's own query stays as it is, byte for byte. */
function withDigest(location: URL, digest: Digest): URL {
  const url = new URL(location)
  url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`
  return url
}
