import {randomBytes} from 'node:crypto'

import type {Exchange} from './exchange.js'

import {DIGEST, digestLike, type FakeOptions, type FakeRepository, type UploadState} from './model.js'

interface UploadOptions extends FakeOptions {
  readonly name: string
  /** Origin that uploads are sent to, when it is another one. */
  readonly uploadOrigin: string | undefined
}

/** `POST /v2/<name>/blobs/uploads/`, with or without `mount`. */
export async function startUpload(
  exchange: Exchange,
  repository: FakeRepository,
  options: UploadOptions & {repositoryOf: (name: string) => FakeRepository | undefined},
): Promise<void> {
  const body = await exchange.body()
  if (!body) return
  const {searchParams} = exchange.url
  if (body.length > 0) exchange.violate('POST with a body')
  if (exchange.request.headers['content-length'] !== '0') exchange.violate('POST without Content-Length: 0')
  for (const key of searchParams.keys()) {
    if (!['digest-algorithm', 'from', 'mount'].includes(key)) exchange.violate(`unknown parameter ${key}`)
  }

  const mount = searchParams.get('mount')
  const from = searchParams.get('from')
  if (mount !== null && mountBlob({exchange, from, mount, options, repository})) return
  const upload: UploadState = {bytes: Buffer.alloc(0), id: randomBytes(8).toString('hex'), state: ''}
  repository.uploads.set(upload.id, upload)
  exchange.send(202, {
    ...progress(exchange, upload, options),
    ...(options.chunkMinLength !== undefined && {'oci-chunk-min-length': String(options.chunkMinLength)}),
  })
}

function mountBlob(call: {
  exchange: Exchange
  from: null | string
  mount: string
  options: UploadOptions & {repositoryOf: (name: string) => FakeRepository | undefined}
  repository: FakeRepository
}): boolean {
  const {exchange, from, mount, options, repository} = call
  if (!DIGEST.test(mount) || from === null) exchange.violate('mount without a digest or a source')
  const how = options.mount ?? 'full'
  if (how === 'refused') {
    exchange.error(400, 'UNSUPPORTED')
    return true
  }

  const bytes = options.repositoryOf(from ?? '')?.blobs.get(mount)
  if (how === 'ignored' || (how === 'full' && !bytes)) return false
  if (bytes) repository.blobs.set(mount, bytes)
  exchange.send(201, {'docker-content-digest': mount, location: `/v2/${options.name}/blobs/${mount}`})
  return true
}

/** `PATCH`, `PUT`, `GET` and `DELETE` of an upload's Location. */
export async function continueUpload(
  exchange: Exchange,
  repository: FakeRepository | undefined,
  options: UploadOptions & {id: string},
): Promise<void> {
  const body = await exchange.body()
  if (!body) return
  const upload = repository?.uploads.get(options.id)
  if (!repository || !upload) {
    exchange.error(404, 'BLOB_UPLOAD_UNKNOWN')
    return
  }

  if (exchange.url.searchParams.get('_state') !== upload.state || !exchange.log.path.includes('&flag=a%2Fb%3D')) {
    exchange.violate('not the latest Location, verbatim')
    exchange.error(400, 'BLOB_UPLOAD_INVALID')
    return
  }

  switch (exchange.method) {
    case 'DELETE': {
      repository.uploads.delete(upload.id)
      exchange.send(204)
      break
    }

    case 'GET': {
      exchange.send(204, progress(exchange, upload, options))
      break
    }

    case 'PATCH': {
      patch({body, exchange, options, upload})
      break
    }

    default: {
      finish({body, exchange, options, repository, upload})
    }
  }
}

function patch(call: {body: Buffer; exchange: Exchange; options: UploadOptions; upload: UploadState}): void {
  const {body, exchange, options, upload} = call
  if (!chunkFits(call)) {
    exchange.error(416)
    return
  }

  if (options.maxChunk !== undefined && body.length > options.maxChunk) {
    exchange.error(416)
    return
  }

  if (
    upload.bytes.length % (options.chunkMinLength ?? 1) !== 0 &&
    upload.bytes.length < (options.chunkMinLength ?? 0)
  ) {
    exchange.violate(`a chunk shorter than OCI-Chunk-Min-Length ${options.chunkMinLength}`)
  }

  upload.bytes = Buffer.concat([upload.bytes, body])
  const how = options.patchAnswer ?? 'right'
  const headers = progress(exchange, upload, options, how === 'no-location')
  if (how === 'no-location') delete headers['location']
  if (how === 'stuck-range') headers['range'] = '0-0'
  exchange.send(how === 'status-201' ? 201 : 202, headers)
}

function chunkFits(call: {body: Buffer; exchange: Exchange; upload: UploadState}): boolean {
  const {body, exchange, upload} = call
  const {headers} = exchange.request
  const range = /^(\d+)-(\d+)$/.exec(headers['content-range'] ?? '')
  if (!range || headers['content-type'] !== 'application/octet-stream' || headers['content-length'] === undefined) {
    exchange.violate(`chunk with Content-Range ${headers['content-range']}, Content-Type ${headers['content-type']}`)
    return false
  }

  const [start, end] = [Number(range[1]), Number(range[2])]
  if (start === upload.bytes.length && end === start + body.length - 1) return true
  exchange.violate(`chunk ${range[0]} of ${body.length} bytes at ${upload.bytes.length}`)
  return false
}

function finish(call: {
  body: Buffer
  exchange: Exchange
  options: UploadOptions
  repository: FakeRepository
  upload: UploadState
}): void {
  const {body, exchange, options, repository, upload} = call
  const digest = exchange.url.searchParams.get('digest') ?? ''
  const {headers} = exchange.request
  if (!DIGEST.test(digest)) exchange.violate('PUT without a digest')
  if (headers['content-length'] === undefined) exchange.violate('PUT without Content-Length')
  if (body.length > 0 && headers['content-type'] !== 'application/octet-stream') exchange.violate('PUT of another type')
  if (body.length > 0 && upload.bytes.length === 0 && headers['content-range'] !== undefined) {
    exchange.violate('monolithic PUT with Content-Range')
  }

  if (options.maxMonolithic !== undefined && body.length > options.maxMonolithic) {
    exchange.error(options.monolithicStatus ?? 413)
    return
  }

  const bytes = Buffer.concat([upload.bytes, body])
  if (!DIGEST.test(digest) || digestLike(bytes, digest) !== digest) {
    repository.uploads.delete(upload.id)
    exchange.error(400, 'DIGEST_INVALID')
    return
  }

  repository.uploads.delete(upload.id)
  repository.blobs.set(digest, bytes)
  const header = options.digestHeader ?? 'right'
  exchange.send(201, {
    location: `/v2/${options.name}/blobs/${digest}`,
    ...(header !== 'missing' && {'docker-content-digest': header === 'wrong' ? `sha256:${'f'.repeat(64)}` : digest}),
  })
}

function progress(
  exchange: Exchange,
  upload: UploadState,
  options: UploadOptions,
  keepState = false,
): Record<string, string> {
  if (!keepState) upload.state = randomBytes(12).toString('base64')
  const path = `/v2/${options.name}/blobs/uploads/${upload.id}?_state=${encodeURIComponent(upload.state)}&flag=a%2Fb%3D`
  const how = options.location ?? 'relative'
  const origin = how === 'other-origin' ? options.uploadOrigin : exchange.url.origin
  return {
    location: how === 'relative' ? path : `${origin}${path}`,
    range: `0-${Math.max(upload.bytes.length - 1, 0)}`,
  }
}
