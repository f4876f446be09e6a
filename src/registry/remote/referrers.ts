import type {Descriptor} from '../descriptor.js'
import type {CallOptions, ManifestStore} from '../interfaces.js'
import type {RawManifest} from '../manifest.js'
import type {RemoteContext} from './context.js'

import {isNotFound, ProtocolError} from '../../errors.js'
import {type JsonObject} from '../../util/json.js'
import {parseDescriptor} from '../descriptor.js'
import {algorithmOf, type Digest, encodedOf, parseDigest} from '../digest.js'
import {responseError} from '../errors.js'
import {referrerOf} from '../local/referrer.js'
import {isIndexType, MAX_MANIFEST_BYTES, parseManifestJson} from '../manifest.js'
import {MEDIA_TYPE} from '../media-types.js'
import {nextPage} from './link.js'

const MAX_PAGES = 1000

/** The tag under which clients keep the referrers of `subject` at registries that have no referrers API. */
export function referrersTag(subject: Digest): string {
  return `${algorithmOf(subject)}-${encodedOf(subject).slice(0, 64)}`
}

/**
 * Manifests that point at `subject`: by the referrers API, or by the tag schema where there is none.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 * @yields descriptors, each digest once
 */
export async function* listReferrers(
  context: RemoteContext,
  manifests: ManifestStore,
  subject: Digest,
  options: CallOptions = {},
): AsyncGenerator<Descriptor> {
  const seen = new Set<Digest>()
  const what = `referrers of ${parseDigest(subject)}`
  if (context.capabilities.referrersApi !== 'no') {
    let url: undefined | URL = context.urls.referrers(subject)
    const visited = new Set<string>()
    while (url) {
      if (visited.has(url.href) || visited.size >= MAX_PAGES) throw new ProtocolError(`${what}: the list has no end`)
      visited.add(url.href)
      const page: undefined | {items: Descriptor[]; next: undefined | URL} = await readPage(context, url, what, options)
      // A page after the first that is not there is no answer to the whole question.
      if (!page && visited.size > 1) throw new ProtocolError(`${what}: the next page is not there`)
      if (!page) break
      context.capabilities.referrersApi = 'yes'
      for (const item of page.items) {
        if (seen.has(item.digest)) continue
        seen.add(item.digest)
        yield item
      }

      url = page.next
    }

    if (context.capabilities.referrersApi === 'yes') return
    context.capabilities.referrersApi = 'no'
  }

  yield* await readTag(manifests, subject, options)
}

async function readPage(
  context: RemoteContext,
  url: URL,
  what: string,
  {signal}: CallOptions,
): Promise<undefined | {items: Descriptor[]; next: undefined | URL}> {
  const headers = {accept: MEDIA_TYPE.imageIndex}
  const {bytes, response} = await context.read({headers, signal, url}, {limit: MAX_MANIFEST_BYTES})
  if (bytes) {
    return {
      items: descriptorsOf(parseManifestJson(bytes, what), what),
      next: nextPage(response.headers['link'], response.url, what),
    }
  }

  const error = await responseError(response, 'GET')
  if (error.status === 404 || error.status === 405) return undefined
  throw error
}

function descriptorsOf(index: JsonObject, what: string): Descriptor[] {
  const {manifests} = index
  if (!Array.isArray(manifests)) throw new ProtocolError(`${what}: not an image index`)
  return manifests.map((entry, position) => parseDescriptor(entry, `${what}: manifests[${position}]`))
}

/** The index under the referrers tag; nothing when there is none, or something else. */
async function readTag(manifests: ManifestStore, subject: Digest, options: CallOptions): Promise<Descriptor[]> {
  try {
    const {bytes, mediaType} = await manifests.get(referrersTag(subject), options)
    if (!isIndexType(mediaType)) return []
    const unique = new Map(
      descriptorsOf(parseManifestJson(bytes, 'referrers tag'), 'referrers tag').map((item) => [item.digest, item]),
    )
    return [...unique.values()]
  } catch (error) {
    if (isNotFound(error)) return []
    throw error
  }
}

/**
 * Adds a pushed manifest that has a subject to the referrers tag, as clients must where the registry did not take note
 * of the subject itself (no OCI-Subject header).
 * @throws ProtocolError when something else than an index lies under the tag
 */
export async function recordReferrer(
  manifests: ManifestStore,
  pushed: CallOptions & {readonly descriptor: Descriptor; readonly manifest: RawManifest},
): Promise<void> {
  const {descriptor, manifest, signal} = pushed
  const referrer = referrerOf(manifest, descriptor)
  if (!referrer) return
  const tag = referrersTag(referrer.subject)
  let json: JsonObject = {manifests: [], mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2}
  try {
    const current = await manifests.get(tag, {signal})
    if (!isIndexType(current.mediaType))
      throw new ProtocolError(`tag ${tag}: not an image index but ${current.mediaType}`)
    json = parseManifestJson(current.bytes, `tag ${tag}`)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }

  const known = descriptorsOf(json, `tag ${tag}`)
  if (known.some(({digest}) => digest === descriptor.digest)) return
  const bytes = Buffer.from(JSON.stringify({...json, manifests: [...known, referrer.descriptor]}))
  await manifests.push({bytes, mediaType: MEDIA_TYPE.imageIndex}, {signal, tag})
}
