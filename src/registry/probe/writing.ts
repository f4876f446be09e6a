import {randomBytes} from 'node:crypto'

import type {Descriptor} from '../descriptor.js'

import {IntegrityError, KlosetOciError, UnsupportedError} from '../../errors.js'
import {collect} from '../../util/collect.js'
import {type Digest, digestOf} from '../digest.js'
import {expectStatus, RegistryResponseError, responseError} from '../errors.js'
import {MEDIA_TYPE} from '../media-types.js'
import {contentRange} from '../remote/headers.js'
import {UploadSession} from '../remote/upload-session.js'
import {discard} from '../transport/body.js'
import {failed, ok, type ProbeResult, skip, warn} from './result.js'
import {type ProbeBlob, type ProbeSubject, randomBlob, randomTag} from './subject.js'

const BLOB_BYTES = 64 * 1024
/** A registry that wants chunks larger than this gets none from us for a try. */
const MAX_CHUNK_BYTES = 16 * 1024 * 1024
const ARTIFACT_TYPE = 'application/vnd.plakar.kloset.packfile.v1'

/** A blob in one piece, and what the registry then says of it. @throws what stands in the way */
export async function probePush(subject: ProbeSubject): Promise<ProbeResult & {readonly blob: ProbeBlob}> {
  const blob = randomBlob(BLOB_BYTES)
  await subject.pushBlob(blob)
  const {size} = await subject.repository.blobs.resolve(blob.descriptor.digest, {signal: subject.signal})
  if (size !== BLOB_BYTES) throw new IntegrityError(`pushed ${BLOB_BYTES} bytes, the registry holds ${size}`)
  return {...ok('push', 'blobs can be pushed in one piece', {bytes: BLOB_BYTES}), blob}
}

/** Bytes from the middle: 206 with the right Content-Range, or reading is slow or wrong. */
export async function probeRange(subject: ProbeSubject, {bytes, descriptor}: ProbeBlob): Promise<ProbeResult> {
  const {context, repository, signal} = subject
  const range = {length: 1000, offset: 12_345}
  const expected = bytes.subarray(range.offset, range.offset + range.length)
  if (!context) {
    const stream = await repository.blobs.fetch(descriptor, {range, signal})
    const found = await collect(stream, {limit: BLOB_BYTES, what: 'range'})
    return expected.equals(found) ? ok('range', 'parts of objects can be read') : failed('range', wrongRange())
  }

  const end = range.offset + range.length - 1
  const headers = {range: `bytes=${range.offset}-${end}`}
  const url = context.urls.blob(descriptor.digest)
  const response = await context.send({access: 'pull', headers, method: 'GET', signal, url})
  const {status} = await expectStatus(response, [200, 206], 'GET')
  const body = await collect(response.body, {limit: BLOB_BYTES, what: 'range'})
  const facts = {status}
  if (status === 200) {
    return warn('range', 'ranges are ignored: every small read downloads the whole object', {
      facts,
      next: 'Expect restores to be slow; look for a proxy or cache that drops the Range header.',
    })
  }

  const told = contentRange(response)
  if (told && (told.start !== range.offset || told.end !== end)) return failed('range', wrongRange())
  if (!expected.equals(body)) return failed('range', wrongRange())
  return ok('range', 'parts of objects can be read (206)', facts)
}

function wrongRange(): IntegrityError {
  return new IntegrityError('other bytes were sent than the range asks for', {
    suggestions: ['Do not keep a store here before that is mended: look for a proxy or cache in between.'],
  })
}

/** An upload in pieces: what is done where one request may not hold a whole packfile, and what plakar's own plugin does. */
export async function probeChunked(subject: ProbeSubject): Promise<ProbeResult> {
  const {context, repository, signal} = subject
  if (!context) return skip('chunked-upload', 'a directory has no uploads')
  const response = await context.send({
    access: 'push',
    method: 'POST',
    retry: 'safe',
    signal,
    url: context.urls.uploads,
  })
  await expectStatus(response, [202], 'POST')
  await discard(response.body)
  const session = new UploadSession(context, response)
  try {
    const {minChunkBytes} = session
    const facts = {minChunkBytes}
    if (minChunkBytes > MAX_CHUNK_BYTES) {
      await session.cancel()
      return ok('chunked-upload', `chunks must have ${minChunkBytes} bytes at least: not tried`, facts)
    }

    const chunk = Math.max(minChunkBytes, BLOB_BYTES)
    const bytes = randomBytes(2 * chunk)
    const digest = digestOf(bytes)
    subject.expect({blob: digest})
    for (const offset of [0, chunk]) {
      const answer = await session.patch(bytes.subarray(offset, offset + chunk), offset, signal)
      if (answer.status >= 300) throw await responseError(answer, 'PATCH')
    }

    const finished = await session.finish(digest, undefined, signal)
    await discard((await expectStatus(finished, [200, 201, 202, 204], 'PUT')).body)
    // Some registries acknowledge every chunk and keep the first.
    const stream = await repository.blobs.fetch(
      {digest, mediaType: MEDIA_TYPE.octetStream, size: bytes.length},
      {signal},
    )
    await collect(stream, {limit: bytes.length, what: 'chunked upload'})
    return ok('chunked-upload', 'blobs can be pushed in chunks', facts)
  } catch (error) {
    await session.cancel()
    if (signal?.aborted || !(error instanceof KlosetOciError)) throw error
    return warn('chunked-upload', `blobs cannot be pushed in chunks: ${error.message}`, {
      facts: error.facts,
      next: "Nothing, as long as a whole packfile fits into one request; plakar's official plugin cannot write here.",
    })
  }
}

export interface TaggedProbe {
  readonly results: readonly ProbeResult[]
  /** That leads to it; undefined when no manifest was taken. */
  readonly tag?: string
}

/** A manifest of an object's shape, with its artifact type and, where that is refused, without. */
export async function probeManifest(subject: ProbeSubject, layer: Descriptor): Promise<TaggedProbe> {
  await subject.pushConfig()
  const tag = randomTag()
  try {
    await subject.pushManifest(subject.manifest(layer, ARTIFACT_TYPE), tag)
    const results = [
      ok('manifest', 'manifests of objects are taken'),
      ok('artifact-type', `artifactType is taken: ${ARTIFACT_TYPE}`),
    ]
    return {results, tag}
  } catch (error) {
    if (!(error instanceof RegistryResponseError) || ![400, 415, 422].includes(error.status)) throw error
    return plainManifest(subject, layer, {refusal: error, tag})
  }
}

async function plainManifest(
  subject: ProbeSubject,
  layer: Descriptor,
  {refusal, tag}: {readonly refusal: RegistryResponseError; readonly tag: string},
): Promise<TaggedProbe> {
  try {
    await subject.pushManifest(subject.manifest(layer), tag)
    const results = [
      ok('manifest', 'manifests of objects are taken'),
      warn('artifact-type', `artifactType is refused: ${refusal.message}`, {
        facts: refusal.facts,
        next: 'Nothing: objects are written without it here.',
      }),
    ]
    return {results, tag}
  } catch (error) {
    if (!(error instanceof RegistryResponseError)) throw error
    const next =
      "Allow the layer type application/octet-stream in the registry's settings: no object can be stored before."
    const result = failed('manifest', error, 'manifests of objects are refused')
    return {
      results: [{...result, nextSteps: [next, ...result.nextSteps]}, skip('artifact-type', 'no manifest was taken')],
    }
  }
}

/** The same tag, another manifest: locks are renewed so. */
export async function probeMutability(subject: ProbeSubject, layer: Descriptor, tag: string): Promise<ProbeResult> {
  const advice =
    'Exempt the tags ^locks-[0-9a-f]{64}$ from immutability, or plakar cannot renew and release its locks; all other tags may be immutable.'
  let digest: Digest
  try {
    digest = await subject.pushManifest(subject.manifest(layer), tag)
  } catch (error) {
    if (!(error instanceof RegistryResponseError) || error.status >= 500 || error.status === 429) throw error
    return warn('tag-mutability', `tags cannot be moved: ${error.message}`, {facts: error.facts, next: advice})
  }

  const current = await subject.repository.manifests.resolve(tag, {signal: subject.signal})
  if (current.digest === digest) return ok('tag-mutability', 'tags can be moved')
  return failed(
    'tag-mutability',
    new UnsupportedError('a tag was moved, acknowledged, and still leads to the old manifest', {suggestions: [advice]}),
  )
}

/** What becomes of a manifest whose tag has moved on: each renewal of a lock leaves one. */
export async function probeUntagged(subject: ProbeSubject, before: Digest, tag: string): Promise<ProbeResult> {
  const current = await subject.repository.manifests.resolve(tag, {signal: subject.signal})
  if (current.digest === before) return skip('untagged', 'no tag could be moved')
  return (await subject.has(before))
    ? ok(
        'untagged',
        'a manifest without a tag stays until the registry collects it: locks leave one every five minutes',
      )
    : ok('untagged', 'a manifest goes with its last tag')
}
