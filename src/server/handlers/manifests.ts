import pMap from 'p-map'

import type {Digest} from '../../registry/digest.js'
import type {OwnedRepository} from '../../registry/local/owned-repository.js'
import type {Exchange} from '../exchange.js'

import {isNotFound} from '../../errors.js'
import {isDigest} from '../../registry/digest.js'
import {MAX_MANIFEST_BYTES} from '../../registry/manifest.js'
import {isTag} from '../../registry/tag.js'
import {existing, type Handler, type ServerContext} from '../context.js'
import {fault, type Headers, HttpFault, orNotFound} from '../faults.js'
import {type ManifestContent, readManifest} from '../manifest-check.js'
import {matches} from './blobs.js'

const LOOKUPS_AT_ONCE = 16
/** Missing blobs named in one answer. */
const MAX_NAMED = 20
const MAX_TAGS = 100

export interface ManifestRoute {
  readonly name: string
  readonly reference: string
}

/** `GET`, `HEAD`, `PUT` and `DELETE /v2/<name>/manifests/<tag-or-digest>`. */
export const handleManifest: Handler<ManifestRoute> = async (context, exchange, route) => {
  checkReference(route.reference)
  switch (exchange.method) {
    case 'DELETE': {
      await deleteManifest(context, exchange, route)
      break
    }

    case 'PUT': {
      await putManifest(context, exchange, route)
      break
    }

    default: {
      await getManifest(exchange, await existing(context, route.name), route.reference)
    }
  }
}

async function deleteManifest(
  context: ServerContext,
  exchange: Exchange,
  {name, reference}: ManifestRoute,
): Promise<void> {
  if (!context.deleteEnabled) {
    throw new HttpFault(405, 'UNSUPPORTED', 'deleting is switched off', {headers: {allow: 'GET, HEAD, PUT'}})
  }

  const {manifests} = await existing(context, name)
  const absent = () => fault.manifestUnknown(reference)
  // A tag's manifest stays: whoever wants it gone deletes it by its digest.
  await (isDigest(reference)
    ? orNotFound(manifests.delete(reference), absent)
    : orNotFound(manifests.untag(reference, {deleteManifest: false}), absent))
  await exchange.empty(202)
}

async function getManifest(exchange: Exchange, repository: OwnedRepository, reference: string): Promise<void> {
  const absent = () => fault.manifestUnknown(reference)
  const descriptor = await orNotFound(repository.manifests.resolve(reference), absent)
  const etag = `"${descriptor.digest}"`
  const headers: Headers = {
    'content-type': descriptor.mediaType,
    'docker-content-digest': descriptor.digest,
    etag,
  }
  if (matches(exchange.header('if-none-match'), etag)) {
    await exchange.empty(304, headers)
    return
  }

  if (exchange.isHead) {
    await exchange.empty(200, {...headers, 'content-length': descriptor.size})
    return
  }

  // As it is stored, damaged or not: the client checks its digest, and sees damage for what it is.
  const {bytes} = await orNotFound(repository.manifests.getStored(descriptor.digest), absent)
  await exchange.bytes(200, headers, bytes)
}

async function putManifest(
  context: ServerContext,
  exchange: Exchange,
  {name, reference}: ManifestRoute,
): Promise<void> {
  const tags = isDigest(reference) ? tagParameters(exchange) : []
  const bytes = await bodyOf(exchange)
  const content = readManifest(bytes, exchange.header('content-type'))
  const repository = await context.root.create(name)
  if (!context.sparse) await checkComplete(repository, content)
  const manifest = {bytes, mediaType: content.mediaType}
  const descriptor = isDigest(reference)
    ? await repository.manifests.push(manifest, {digest: reference})
    : await repository.manifests.push(manifest, {tag: reference})
  await Promise.all(tags.map((tag) => repository.manifests.tag(descriptor, tag)))
  const {digest} = descriptor
  await exchange.empty(201, {
    'docker-content-digest': digest,
    location: `/v2/${name}/manifests/${digest}`,
    ...(content.subject && {'oci-subject': content.subject}),
    ...(tags.length > 0 && {'oci-tag': tags.join(', ')}),
  })
}

/** @throws HttpFault 413 beyond the limit, however long the body says it is */
async function bodyOf(exchange: Exchange): Promise<Buffer> {
  if ((exchange.contentLength ?? 0) > MAX_MANIFEST_BYTES) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of exchange.body()) {
    size += chunk.length
    if (size > MAX_MANIFEST_BYTES) throw tooLarge()
    chunks.push(chunk)
  }

  return Buffer.concat(chunks, size)
}

/** @throws HttpFault 400 MANIFEST_BLOB_UNKNOWN when something that the manifest names is not in the repository */
async function checkComplete({blobs, manifests}: OwnedRepository, content: ManifestContent): Promise<void> {
  const isThere = {
    // Touches it, so that a garbage collection which runs beside this leaves it alone.
    blob: (digest: Digest) => blobs.keep({digest, size: -1}),
    async manifest(digest: Digest) {
      try {
        await manifests.resolve(digest)
        return true
      } catch (error) {
        if (isNotFound(error)) return false
        throw error
      }
    },
  }
  const wanted = [
    ...new Map(
      [
        ...content.blobs.map(({digest}) => ({digest, kind: 'blob' as const})),
        ...content.manifests.map(({digest}) => ({digest, kind: 'manifest' as const})),
      ].map((item) => [item.digest, item]),
    ).values(),
  ]
  const found = await pMap(wanted, async ({digest, kind}) => isThere[kind](digest), {concurrency: LOOKUPS_AT_ONCE})
  const missing = wanted.filter((_, index) => !found[index])
  if (missing.length === 0) return
  throw new HttpFault(400, 'MANIFEST_BLOB_UNKNOWN', 'the manifest names content that is not in the repository', {
    detail: {count: missing.length, missing: missing.slice(0, MAX_NAMED).map(({digest}) => digest)},
  })
}

function checkReference(reference: string): void {
  if (isDigest(reference) || isTag(reference)) return
  if (reference.includes(':')) throw fault.digestInvalid(reference)
  throw new HttpFault(400, 'MANIFEST_INVALID', 'neither a tag nor a digest', {
    detail: {reference: reference.slice(0, 200)},
  })
}

function tagParameters({query}: Exchange): string[] {
  const tags = [...new Set(query.getAll('tag'))]
  if (tags.length > MAX_TAGS) {
    throw new HttpFault(414, 'MANIFEST_INVALID', `more than ${MAX_TAGS} tags in one request`)
  }

  const bad = tags.find((tag) => !isTag(tag))
  if (bad === undefined) return tags
  throw new HttpFault(400, 'MANIFEST_INVALID', 'not a tag', {detail: {tag: bad.slice(0, 200)}})
}

function tooLarge(): HttpFault {
  return new HttpFault(413, 'SIZE_INVALID', 'the manifest is too large', {detail: {limit: MAX_MANIFEST_BYTES}})
}
