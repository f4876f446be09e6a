import type {Exchange} from '../exchange.js'
import type {UploadSession} from '../uploads/sessions.js'

import {hasCode} from '../../errors.js'
import {algorithmOf, type Digest, type DigestAlgorithm} from '../../registry/digest.js'
import {isRepositoryName} from '../../registry/reference.js'
import {abortable} from '../../util/abort.js'
import {checkedDigest, type Handler, type ServerContext} from '../context.js'
import {fault, HttpFault} from '../faults.js'
import {parseChunkRange} from '../range.js'

/** `POST /v2/<name>/blobs/uploads/`: begins an upload, mounts a blob, or takes one whole. */
export const handleUploads: Handler<{readonly name: string}> = async (context, exchange, {name}) => {
  const {query} = exchange
  const mount = query.get('mount')
  if (mount !== null && (await mounted(context, exchange, checkedDigest(mount), name))) return
  const digest = mount === null ? query.get('digest') : null
  const whole = digest === null ? undefined : checkedDigest(digest)
  const algorithm = whole ? algorithmOf(whole) : algorithmNamed(query.get('digest-algorithm'))
  const repository = await context.root.create(name)
  const session = await context.sessions.begin(name, () => repository.blobs.ingest(algorithm))
  if (!whole) {
    await exchange.empty(202, progress(session))
    return
  }

  try {
    await session.exclusive(async (signal) => {
      await append(session, exchange, signal)
      await session.ingest.commit(whole)
    })
  } finally {
    // One request is all there is to it: nobody could go on from here.
    context.sessions.delete(session)
    await session.ingest.abort()
  }

  await exchange.empty(201, created(name, whole))
}

/** `GET`, `PATCH`, `PUT` and `DELETE /v2/<name>/blobs/uploads/<id>`: an upload under way. */
export const handleUpload: Handler<{readonly id: string; readonly name: string}> = async (
  context,
  exchange,
  {id, name},
) => {
  const session = context.sessions.named(name, id)
  switch (exchange.method) {
    case 'DELETE': {
      context.sessions.delete(session)
      await session.end()
      await exchange.empty(204)
      break
    }

    case 'GET': {
      await exchange.empty(204, progress(session))
      break
    }

    case 'PATCH': {
      await session.exclusive(async (signal) => {
        // The request before this one may have ended it.
        context.sessions.named(name, id)
        checkPlace(session, exchange)
        await append(session, exchange, signal)
        await session.ingest.park()
      })
      await exchange.empty(202, progress(session))
      break
    }

    default: {
      await finish(context, exchange, session)
    }
  }
}

async function finish({sessions}: ServerContext, exchange: Exchange, session: UploadSession): Promise<void> {
  const digest = checkedDigest(exchange.query.get('digest') ?? '')
  await session.exclusive(async (signal) => {
    // The request before this one may have finished it.
    sessions.named(session.name, session.id)
    checkPlace(session, exchange)
    await append(session, exchange, signal)
    try {
      await session.ingest.commit(digest)
    } finally {
      // Whatever became of it, it cannot go on: its bytes are a blob now, or not what they were to be.
      sessions.delete(session)
      await session.ingest.abort()
    }
  })
  await exchange.empty(201, created(session.name, digest))
}

async function append({ingest}: UploadSession, exchange: Exchange, signal: AbortSignal): Promise<void> {
  const {contentLength} = exchange
  if (contentLength === 0) return
  abortable(exchange.request, signal)
  try {
    await ingest.append(exchange.body(), {
      signal,
      ...(contentLength !== undefined && {limit: ingest.size + contentLength}),
    })
  } catch (error) {
    if (hasCode(error, 'INTEGRITY')) throw new HttpFault(400, 'SIZE_INVALID', 'more content than was announced')
    // The upload was ended or taken over under this request: by its DELETE, for one.
    if (signal.aborted) throw fault.uploadUnknown()
    throw error
  }
}

/** @throws HttpFault 416 unless the chunk follows on what there is */
function checkPlace(session: UploadSession, exchange: Exchange): void {
  const header = exchange.header('content-range')
  if (header === undefined) return
  const range = parseChunkRange(header)
  if (!range) throw new HttpFault(400, 'BLOB_UPLOAD_INVALID', 'Content-Range is not <first>-<last>')
  if (range.first !== session.ingest.size) {
    throw new HttpFault(416, 'BLOB_UPLOAD_INVALID', 'the chunk does not follow on the one before', {
      detail: {expected: session.ingest.size, first: range.first},
      headers: progress(session),
    })
  }

  const {contentLength} = exchange
  if (contentLength !== undefined && contentLength !== range.last - range.first + 1) {
    throw new HttpFault(400, 'SIZE_INVALID', 'Content-Range and Content-Length disagree')
  }
}

/** Tries a mount, from the repository that is named or from any that the client may read. */
async function mounted({root}: ServerContext, exchange: Exchange, digest: Digest, name: string): Promise<boolean> {
  const {principal} = exchange
  const from = exchange.query.get('from')
  const named = from === null || from === '' ? undefined : from
  if (named !== undefined && !isRepositoryName(named)) return false
  for (const candidate of named === undefined ? await root.names() : [named]) {
    if (!principal?.can('pull', candidate)) continue
    if (!(await root.mount(digest, candidate, name))) continue
    await exchange.empty(201, created(name, digest))
    return true
  }

  return false
}

function algorithmNamed(name: null | string): DigestAlgorithm | undefined {
  if (name === null || name === '') return undefined
  if (name === 'sha256' || name === 'sha512') return name
  throw fault.digestInvalid(name)
}

function created(name: string, digest: Digest) {
  return {'docker-content-digest': digest, location: `/v2/${name}/blobs/${digest}`}
}

/** Where an upload stands. An empty one says `0-0` too: there is no other way to write it. */
function progress({id, ingest, name}: UploadSession) {
  return {
    'docker-upload-uuid': id,
    location: `/v2/${name}/blobs/uploads/${id}`,
    range: `0-${Math.max(0, ingest.size - 1)}`,
  }
}
