import type {Exchange} from './exchange.js'

import {DIGEST, digestLike, type FakeOptions, type FakeRepository, sha256, TAG} from './model.js'

const WRONG_DIGEST = `sha256:${'f'.repeat(64)}`
const MAX_MANIFEST = 4 * 1024 * 1024

function digestHeader(digest: string, options: FakeOptions): Record<string, string> {
  const how = options.digestHeader ?? 'right'
  return how === 'missing' ? {} : {'docker-content-digest': how === 'wrong' ? WRONG_DIGEST : digest}
}

/** `GET`, `HEAD` and `DELETE` of `/v2/<name>/blobs/<digest>`. */
export function serveBlob(
  exchange: Exchange,
  repository: FakeRepository | undefined,
  options: FakeOptions & {digest: string; storage?: string},
): void {
  const {digest} = options
  if (!DIGEST.test(digest)) {
    exchange.violate('not a digest')
    exchange.error(400)
    return
  }

  const bytes = repository?.blobs.get(digest)
  if (!bytes) {
    exchange.error(404, 'BLOB_UNKNOWN')
    return
  }

  if (exchange.method === 'DELETE') {
    if (options.digestDelete === 'off') exchange.error(405)
    else {
      repository?.blobs.delete(digest)
      exchange.send(202)
    }

    return
  }

  if (exchange.method === 'HEAD') headBlob(exchange, bytes, options)
  else if (options.storage) {
    exchange.send(307, {location: `${options.storage}/${digest}?signature=s3cret`})
  } else sendBytes(exchange, bytes, options)
}

function headBlob(exchange: Exchange, bytes: Buffer, options: FakeOptions & {digest: string}): void {
  const how = options.headBlobs ?? 'on'
  if (how === 'off') exchange.error(405)
  else {
    exchange.send(200, {
      'content-type': 'application/octet-stream',
      ...digestHeader(options.digest, options),
      ...(how === 'no-length'
        ? {'content-length': undefined as unknown as string}
        : {'content-length': String(bytes.length)}),
    })
  }
}

/** The bytes or the closed range of them that was asked for, as well or as badly as the options say. */
export function sendBytes(exchange: Exchange, bytes: Buffer, options: FakeOptions & {digest: string}): void {
  const headers = {'content-type': 'application/octet-stream', ...digestHeader(options.digest, options)}
  const asked = exchange.request.headers.range
  const how = options.ranges ?? 'right'
  if (asked === undefined || how === 'ignored') {
    exchange.send(200, headers, bytes)
    return
  }

  const match = /^bytes=(\d+)-(\d+)$/.exec(asked)
  if (!match || Number(match[1]) > Number(match[2])) {
    exchange.violate(`Range: ${asked}`)
    exchange.error(416)
    return
  }

  const start = Number(match[1])
  const end = Math.min(Number(match[2]), bytes.length - 1)
  if (start >= bytes.length || (how === 'strict-end' && Number(match[2]) >= bytes.length)) {
    exchange.send(416, how === 'strict-end' ? {} : {'content-range': `bytes */${bytes.length}`})
    return
  }

  const told = {
    end: how === 'wrong-end' ? end + 1 : end,
    start: how === 'wrong-start' ? start + 1 : start,
    total: how === 'wrong-total' ? bytes.length + 1 : bytes.length,
  }
  const range = how === 'no-header' ? {} : {'content-range': `bytes ${told.start}-${told.end}/${told.total}`}
  exchange.send(206, {...headers, ...range}, bytes.subarray(start, end + 1))
}

/** `/v2/<name>/manifests/<reference>` for all methods. */
export async function serveManifest(
  exchange: Exchange,
  repository: FakeRepository,
  options: FakeOptions & {reference: string},
): Promise<void> {
  const {reference} = options
  if (!DIGEST.test(reference) && !TAG.test(reference)) {
    exchange.violate('neither a tag nor a digest')
    exchange.error(400, 'MANIFEST_INVALID')
    return
  }

  switch (exchange.method) {
    case 'DELETE': {
      if (DIGEST.test(reference)) deleteDigest(exchange, repository, options)
      else deleteTag(exchange, repository, options)
      break
    }

    case 'PUT': {
      await putManifest(exchange, repository, options)
      break
    }

    default: {
      readManifest(exchange, repository, options)
    }
  }
}

function readManifest(
  exchange: Exchange,
  repository: FakeRepository,
  options: FakeOptions & {reference: string},
): void {
  const digest = repository.tags.get(options.reference) ?? options.reference
  const manifest = repository.manifests.get(digest)
  if (!manifest) {
    exchange.error(404, 'MANIFEST_UNKNOWN')
    return
  }

  const accept = exchange.request.headers.accept ?? ''
  if (!accept.includes('application/vnd.oci.image.manifest.v1+json')) exchange.violate(`Accept: ${accept}`)
  const how = exchange.method === 'HEAD' ? (options.headManifests ?? 'on') : 'on'
  if (how === 'off') {
    exchange.error(405)
    return
  }

  const headers: Record<string, string> = {'content-type': manifest.mediaType, ...digestHeader(digest, options)}
  if (how === 'no-length') headers['content-length'] = undefined as unknown as string
  exchange.send(200, headers, manifest.bytes)
}

async function putManifest(
  exchange: Exchange,
  repository: FakeRepository,
  options: FakeOptions & {reference: string},
): Promise<void> {
  const bytes = await exchange.body()
  if (!bytes) return
  const problem = faultOf(exchange, bytes, repository, options)
  if (problem) {
    exchange.error(400, problem)
    return
  }

  const {reference} = options
  const isDigest = DIGEST.test(reference)
  const digest = isDigest ? digestLike(bytes, reference) : sha256(bytes)
  if (isDigest && digest !== reference) {
    exchange.violate('bytes do not have the digest')
    exchange.error(400, 'DIGEST_INVALID')
    return
  }

  const before = repository.tags.get(reference)
  if (options.immutableTags && before !== undefined && before !== digest) {
    exchange.error(409, 'TAG_INVALID', 'tag is immutable')
    return
  }

  repository.manifests.set(digest, {bytes, mediaType: exchange.request.headers['content-type'] ?? ''})
  if (!isDigest) repository.tags.set(reference, digest)
  const json = JSON.parse(bytes.toString()) as {subject?: {digest: string}}
  exchange.send(201, {
    location: exchange.url.pathname,
    ...digestHeader(digest, options),
    ...(options.referrers && json.subject && {'oci-subject': json.subject.digest}),
  })
}

function faultOf(
  exchange: Exchange,
  bytes: Buffer,
  repository: FakeRepository,
  options: FakeOptions,
): string | undefined {
  if (bytes.length > MAX_MANIFEST) return 'SIZE_INVALID'
  let json: Record<string, unknown>
  try {
    json = JSON.parse(bytes.toString()) as Record<string, unknown>
  } catch {
    exchange.violate('manifest is not JSON')
    return 'MANIFEST_INVALID'
  }

  const type = exchange.request.headers['content-type']
  if (!type || (json['mediaType'] !== undefined && json['mediaType'] !== type)) {
    exchange.violate(`Content-Type ${type} for a manifest of ${String(json['mediaType'])}`)
    return 'MANIFEST_INVALID'
  }

  if (options.acceptDanglingManifests) return undefined
  const blobs = [json['config'], ...((json['layers'] as undefined | unknown[]) ?? [])] as (
    undefined | {digest: string}
  )[]
  const missing = blobs.some((blob) => blob !== undefined && !repository.blobs.has(blob.digest))
  return missing ? 'MANIFEST_BLOB_UNKNOWN' : undefined
}

function deleteTag(exchange: Exchange, repository: FakeRepository, options: FakeOptions & {reference: string}): void {
  const tag = options.reference
  const how = options.tagDelete ?? 'untag'
  if (how === 'off' || options.immutableTags) exchange.error(405)
  else if (how === 'digest-invalid') exchange.error(400, 'DIGEST_INVALID')
  else if (how === 'lies') exchange.send(202)
  else if (repository.tags.has(tag)) {
    const digest = repository.tags.get(tag) ?? ''
    repository.tags.delete(tag)
    if (how === 'cascade') removeManifest(repository, digest)
    exchange.send(202)
  } else exchange.error(404, 'MANIFEST_UNKNOWN')
}

function deleteDigest(
  exchange: Exchange,
  repository: FakeRepository,
  options: FakeOptions & {reference: string},
): void {
  const digest = options.reference
  const how = options.digestDelete ?? 'on'
  if (how === 'off') exchange.error(405)
  else if (how === 'lies') exchange.send(202)
  else if (!repository.manifests.has(digest)) exchange.error(404, 'MANIFEST_UNKNOWN')
  else if (how === 'refused-while-tagged' && [...repository.tags.values()].includes(digest)) {
    exchange.error(409, 'DENIED', 'manifest is tagged')
  } else {
    if (how === 'keeps-tags') repository.manifests.delete(digest)
    else removeManifest(repository, digest)
    exchange.send(202)
  }
}

function removeManifest(repository: FakeRepository, digest: string): void {
  repository.manifests.delete(digest)
  for (const [tag, target] of repository.tags) if (target === digest) repository.tags.delete(tag)
}
