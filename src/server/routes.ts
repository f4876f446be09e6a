import {isRepositoryName} from '../registry/reference.js'
import {HttpFault} from './faults.js'

/** What a path asks for. `name` is a repository name that the grammar allows, so that it is safe in a file's path. */
export type Route =
  | {readonly digest: string; readonly kind: 'blob'; readonly name: string}
  | {readonly digest: string; readonly kind: 'referrers'; readonly name: string}
  | {readonly id: string; readonly kind: 'upload'; readonly name: string}
  | {readonly kind: 'base'}
  | {readonly kind: 'catalog'}
  | {readonly kind: 'manifest'; readonly name: string; readonly reference: string}
  | {readonly kind: 'tags'; readonly name: string}
  | {readonly kind: 'token'}
  | {readonly kind: 'uploads'; readonly name: string}

export type RouteKind = Route['kind']

/** Methods by kind of route, for 405. */
export const METHODS: Readonly<Record<RouteKind, readonly string[]>> = {
  base: ['GET', 'HEAD'],
  blob: ['GET', 'HEAD', 'DELETE'],
  catalog: ['GET', 'HEAD'],
  manifest: ['GET', 'HEAD', 'PUT', 'DELETE'],
  referrers: ['GET', 'HEAD'],
  tags: ['GET', 'HEAD'],
  token: ['GET', 'POST'],
  upload: ['GET', 'PATCH', 'PUT', 'DELETE'],
  uploads: ['POST'],
}

/** Greedy: a repository may have components named `blobs` or `manifests`, and the last one counts. */
const UPLOADS = /^(.+)\/blobs\/uploads\/?$/
const UPLOAD = /^(.+)\/blobs\/uploads\/([^/]+)$/
const BLOB = /^(.+)\/blobs\/([^/]+)$/
const MANIFEST = /^(.+)\/manifests\/([^/]+)$/
const REFERRERS = /^(.+)\/referrers\/([^/]+)$/
const TAGS = /^(.+)\/tags\/list$/

/**
 * @param path the request's path without its query, still percent-encoded
 * @returns nothing when the API has no such path
 * @throws HttpFault 400 for a malformed path or repository name
 */
export function parseRoute(path: string): Route | undefined {
  if (path === '/v2' || path === '/v2/') return {kind: 'base'}
  if (path === '/v2/_catalog') return {kind: 'catalog'}
  if (path === '/token') return {kind: 'token'}
  if (!path.startsWith('/v2/')) return undefined
  const rest = decoded(path.slice('/v2/'.length))
  const uploads = UPLOADS.exec(rest)
  if (uploads) return {kind: 'uploads', name: checkedName(uploads[1])}
  const upload = UPLOAD.exec(rest)
  if (upload) return {id: upload[2] ?? '', kind: 'upload', name: checkedName(upload[1])}
  const blob = BLOB.exec(rest)
  if (blob) return {digest: blob[2] ?? '', kind: 'blob', name: checkedName(blob[1])}
  const manifest = MANIFEST.exec(rest)
  if (manifest) return {kind: 'manifest', name: checkedName(manifest[1]), reference: manifest[2] ?? ''}
  const referrers = REFERRERS.exec(rest)
  if (referrers) return {digest: referrers[2] ?? '', kind: 'referrers', name: checkedName(referrers[1])}
  const tags = TAGS.exec(rest)
  if (tags) return {kind: 'tags', name: checkedName(tags[1])}
  return undefined
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw new HttpFault(400, 'NAME_INVALID', 'the path is not properly percent-encoded')
  }
}

function checkedName(name = ''): string {
  if (isRepositoryName(name)) return name
  throw new HttpFault(400, 'NAME_INVALID', 'not a repository name', {
    detail: {name: name.slice(0, 300)},
  })
}
