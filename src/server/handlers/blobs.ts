import type {Digest} from '../../registry/digest.js'
import type {OwnedRepository} from '../../registry/local/owned-repository.js'
import type {Exchange} from '../exchange.js'

import {hasCode} from '../../errors.js'
import {MEDIA_TYPE} from '../../registry/media-types.js'
import {checkedDigest, existing, type Handler, type ServerContext} from '../context.js'
import {fault, type Headers, HttpFault, orNotFound} from '../faults.js'
import {parseRange} from '../range.js'

export interface BlobRoute {
  readonly digest: string
  readonly name: string
}

/** `GET`, `HEAD` and `DELETE /v2/<name>/blobs/<digest>`. */
export const handleBlob: Handler<BlobRoute> = async (context, exchange, {digest: text, name}) => {
  const digest = checkedDigest(text)
  const repository = await existing(context, name)
  await (exchange.method === 'DELETE'
    ? deleteBlob(context, exchange, repository, digest)
    : getBlob(exchange, repository, digest))
}

async function deleteBlob(
  {deleteEnabled}: ServerContext,
  exchange: Exchange,
  {blobs}: OwnedRepository,
  digest: Digest,
): Promise<void> {
  if (!deleteEnabled)
    throw new HttpFault(405, 'UNSUPPORTED', 'deleting is switched off', {headers: {allow: 'GET, HEAD'}})
  try {
    await orNotFound(blobs.delete(digest), () => fault.blobUnknown(digest))
  } catch (error) {
    if (!hasCode(error, 'INVALID_ARGUMENT')) throw error
    throw new HttpFault(405, 'UNSUPPORTED', 'this is a manifest: delete it as one', {
      cause: error,
      detail: {digest},
      headers: {allow: 'GET, HEAD'},
    })
  }

  await exchange.empty(202, {'docker-content-digest': digest})
}

async function getBlob(exchange: Exchange, {blobs}: OwnedRepository, digest: Digest): Promise<void> {
  const {size} = await orNotFound(blobs.resolve(digest), () => fault.blobUnknown(digest))
  const etag = `"${digest}"`
  const headers: Headers = {
    'accept-ranges': 'bytes',
    'content-type': MEDIA_TYPE.octetStream,
    'docker-content-digest': digest,
    etag,
  }
  if (matches(exchange.header('if-none-match'), etag)) {
    await exchange.empty(304, headers)
    return
  }

  const ifRange = exchange.header('if-range')
  // RFC 9110 defines ranges for GET only.
  const wanted = exchange.isHead || (ifRange !== undefined && ifRange !== etag) ? undefined : exchange.header('range')
  const range = parseRange(wanted, size)
  if (range.kind === 'unsatisfiable') {
    throw new HttpFault(416, 'SIZE_INVALID', 'the range is not in the blob', {
      detail: {size},
      headers: {'content-range': `bytes */${size}`},
    })
  }

  const {end, start} = range.kind === 'whole' ? {end: size, start: 0} : range
  const length = end - start
  const partial = range.kind === 'part' ? {'content-range': `bytes ${start}-${end - 1}/${size}`} : {}
  const all = {...headers, ...partial, 'content-length': length}
  if (exchange.isHead || length === 0) {
    await exchange.empty(200, all)
    return
  }

  // As a range even when it is all of it: whoever reads checks the digest, and sees damage for what it is.
  const target = {digest, mediaType: MEDIA_TYPE.octetStream, size: -1}
  const content = await orNotFound(blobs.fetch(target, {range: {length, offset: start}}), () =>
    fault.blobUnknown(digest),
  )
  await exchange.stream(range.kind === 'part' ? 206 : 200, all, content)
}

/** Whether an If-None-Match header names the entity. */
export function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  const tags = new Set(header.split(',').map((tag) => tag.trim().replace(/^W\//, '')))
  return tags.has('*') || tags.has(etag)
}
