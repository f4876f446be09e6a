import type {CallOptions} from '../interfaces.js'
import type {HttpResponse} from '../transport/http.js'
import type {RemoteContext} from './context.js'

import {IntegrityError, ProtocolError} from '../../errors.js'
import {isString} from '../../util/json.js'
import {type Descriptor} from '../descriptor.js'
import {algorithmOf, type Digest, digestOf, isDigest} from '../digest.js'
import {expectStatus, responseError} from '../errors.js'
import {
  type FetchedManifest,
  isImageManifestType,
  isIndexType,
  MAX_MANIFEST_BYTES,
  parseManifestJson,
} from '../manifest.js'
import {ACCEPT_MANIFEST} from '../media-types.js'
import {plainText} from '../redact.js'
import {parseManifestReference} from '../tag.js'
import {discard} from '../transport/body.js'
import {checkDigestHeader, contentLength, digestHeader, mediaTypeOf, refuseEncoding} from './headers.js'

/** HEAD is not offered for manifests. */
const NO_HEAD = new Set([400, 405, 501])

/** What servers call a document they do not know: the manifest's own word counts then. */
const GENERIC = new Set(['', 'application/json', 'application/octet-stream', 'text/plain'])

const WEB_PAGE = 'text/html'
const ACCEPT = {accept: ACCEPT_MANIFEST} as const

/** Reads manifests, and checks them against what they were asked for or announced with. */
export class ManifestReader {
  readonly #context: RemoteContext

  constructor(context: RemoteContext) {
    this.#context = context
  }

  async get(reference: string, options: CallOptions = {}): Promise<FetchedManifest> {
    const {bytes, digest, response} = await this.#fetch(reference, options)
    const mediaType = checkMediaType(bytes, response, `manifest ${reference}`)
    return {bytes, descriptor: {digest, mediaType, size: bytes.length}, mediaType}
  }

  /** What lies under a reference, of whatever kind: `mediaType` is what the registry calls it, unchecked. */
  async identify(reference: string, options: CallOptions = {}): Promise<Descriptor> {
    const head = await this.#head(reference, options)
    if (head) return head
    const {bytes, digest, response} = await this.#fetch(reference, options)
    return {digest, mediaType: mediaTypeOf(response), size: bytes.length}
  }

  async resolve(reference: string, options: CallOptions = {}): Promise<Descriptor> {
    const head = await this.#head(reference, options)
    if (head && !GENERIC.has(head.mediaType) && head.mediaType !== WEB_PAGE) return head
    const {descriptor} = await this.get(reference, options)
    return descriptor
  }

  async #fetch(reference: string, {signal}: CallOptions) {
    parseManifestReference(reference)
    const url = this.#context.urls.manifest(reference)
    const {bytes, response} = await this.#context.read({headers: ACCEPT, signal, url}, {limit: MAX_MANIFEST_BYTES})
    if (!bytes) throw await responseError(response, 'GET')
    refuseEncoding(response, `manifest ${reference}`)
    return {bytes, digest: checkDigest(reference, bytes, response), response}
  }

  /** What the headers alone say, when they say all. */
  async #head(reference: string, {signal}: CallOptions): Promise<Descriptor | undefined> {
    parseManifestReference(reference)
    const {capabilities, urls} = this.#context
    if (!capabilities.headManifests) return undefined
    const url = urls.manifest(reference)
    const response = await this.#context.send({access: 'pull', headers: ACCEPT, method: 'HEAD', signal, url})
    if (!NO_HEAD.has(response.status)) await expectStatus(response, [200], 'HEAD')
    await discard(response.body)
    if (response.status === 200) {
      if (isDigest(reference)) checkDigestHeader(response, reference, `manifest ${reference}`)
      const digest = isDigest(reference) ? reference : digestHeader(response)
      const size = contentLength(response)
      if (digest !== undefined && size !== undefined) return {digest, mediaType: mediaTypeOf(response), size}
    }

    capabilities.headManifests = false
    return undefined
  }
}

function isManifestType(mediaType: string): boolean {
  return isImageManifestType(mediaType) || isIndexType(mediaType)
}

/** @throws IntegrityError when the bytes are not those that were asked for, or announced */
function checkDigest(reference: string, bytes: Buffer, response: HttpResponse): Digest {
  const announced = digestHeader(response)
  const expected = isDigest(reference) ? reference : announced
  if (expected === undefined) return digestOf(bytes)
  for (const digest of new Set([announced ?? expected, expected])) {
    const actual = digestOf(bytes, algorithmOf(digest))
    if (actual === digest) continue
    throw new IntegrityError(`manifest ${reference}: has digest ${actual}, expected ${digest}`, {
      facts: {actual, expected: digest},
    })
  }

  return expected
}

/** @throws ProtocolError when it is no manifest of a kind we know, or two kinds at once */
function checkMediaType(bytes: Buffer, response: HttpResponse, what: string): string {
  const announced = mediaTypeOf(response)
  if (announced === WEB_PAGE) {
    throw new ProtocolError(`${what}: a web page was sent instead of a manifest`, {
      suggestions: ['Check the address: a login page or a proxy may stand before the registry.'],
    })
  }

  const own = parseManifestJson(bytes, what)['mediaType']
  if (isString(own) && own !== '') {
    if (!isManifestType(own)) throw otherKind(what, own)
    if (own === announced || GENERIC.has(announced)) return own
    throw new ProtocolError(
      `${what}: sent as ${plainText(announced, 100)}, but says that it is ${plainText(own, 100)}`,
      {facts: {actual: plainText(own, 100), expected: plainText(announced, 100)}},
    )
  }

  if (isManifestType(announced)) return announced
  throw otherKind(what, announced)
}

function otherKind(what: string, mediaType: string): ProtocolError {
  const type = plainText(mediaType, 100)
  return new ProtocolError(`${what}: not an image manifest or index but ${type || 'untyped'}`, {
    facts: {mediaType: type},
  })
}
