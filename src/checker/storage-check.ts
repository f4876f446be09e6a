import type {Digest} from '../registry/digest.js'
import type {FetchedManifest} from '../registry/manifest.js'
import type {CheckContext} from './context.js'
import type {Finding} from './findings.js'
import type {References} from './references.js'
import type {TagTable} from './tag-table.js'

import {hasCode, isNotFound} from '../errors.js'
import {HEADER_BYTES, parseHeader, resourceOfType} from '../kloset/envelope.js'
import {macFromBytes} from '../kloset/mac.js'
import {type ObjectManifest, readObjectManifest} from '../kloset/object-manifest.js'
import {CONFIG_TAG, meaningOf, type ResourceName, tagOf} from '../kloset/resource.js'
import {type Descriptor} from '../registry/descriptor.js'
import {canListBlobs, canListManifests} from '../registry/interfaces.js'
import {describeManifest} from '../registry/manifest.js'
import {ANNOTATION, MEDIA_TYPE} from '../registry/media-types.js'
import {collect} from '../util/collect.js'
import {DataHasher} from './content-check.js'
import {type Failures, finding} from './failures.js'
import {noteReferences} from './foreign-check.js'

/** A manifest of ours has under a kilobyte; blobs up to this size may be one whose entry was lost. */
const MAX_MANIFEST_GUESS = 16 * 1024

export interface StorageContext extends CheckContext {
  readonly onItem: () => void
  readonly references: References
  readonly table: TagTable
}

/** What lies in the storage without a tag: only backends that own theirs can say. */
export async function* checkStorage(context: StorageContext): AsyncGenerator<Finding> {
  const {references, repository, signal} = context
  if (canListManifests(repository)) {
    for await (const descriptor of repository.manifestDigests({signal})) {
      context.onItem()
      if (references.has(descriptor.digest)) continue
      const fetched = await fetchOrNone(descriptor.digest, context)
      if (!fetched) continue
      await noteReferences(descriptor.digest, fetched.bytes, references, context)
      yield await judgeUntagged(fetched, context)
    }
  }

  if (!canListBlobs(repository)) return
  // Manifests first, that were blobs to the listing above: what they name is then not called unreferenced.
  for await (const blob of repository.blobDigests({signal})) {
    context.onItem()
    if (references.has(blob.digest) || blob.size > MAX_MANIFEST_GUESS) continue
    const manifest = await manifestIn(blob, context)
    if (!manifest) continue
    await noteReferences(blob.digest, manifest.bytes, references, context)
    yield await judgeUntagged(manifest, context)
  }

  for await (const {digest, size} of repository.blobDigests({signal})) {
    if (references.has(digest)) continue
    const message = `blob ${digest}: no manifest refers to it (${size} bytes)`
    yield finding('unreferenced-blob', message, {digest, found: size})
  }
}

/** Whether a tag of the store, or of nobody, was the manifest's. */
async function judgeUntagged(manifest: FetchedManifest, context: StorageContext): Promise<Finding> {
  const {digest} = manifest.descriptor
  const content = objectIn(manifest)
  if (!content) return finding('untagged-manifest', `manifest ${digest}: has no tag, and holds no object`, {digest})
  const {resource, tag} = await identify(content, context)
  if (resource === undefined) {
    return finding('untagged-manifest', `manifest ${digest}: has no tag, and holds no object`, {digest})
  }

  const meaning = tag === undefined ? undefined : meaningOf(tag)
  const object = {mac: meaning?.kind === 'object' ? meaning.mac : undefined, resource}
  const details = {digest, object, tag}
  const isListed = context.table.hasTag(tag ?? (resource === 'config' ? CONFIG_TAG : ''))
  if (resource === 'config' && isListed) {
    return finding('config-duplicate', `manifest ${digest}: another configuration, without a tag`, details)
  }

  if (resource === 'lock' || isListed) {
    const of = tag === undefined ? `a ${resource}` : `an earlier ${tag}`
    return finding('untagged-manifest', `manifest ${digest}: has no tag, and holds ${of}`, details)
  }

  const what = tag ?? (resource === 'config' ? CONFIG_TAG : `a ${resource}`)
  return finding('untagged-object', `manifest ${digest}: holds ${what}, which no tag has`, {
    ...details,
    tag: tag ?? (resource === 'config' ? CONFIG_TAG : undefined),
  })
}

/** What an untagged manifest holds: by its annotation, or by a look at the object itself. */
async function identify(
  {annotations, layer}: ObjectManifest,
  context: StorageContext,
): Promise<{readonly resource?: ResourceName | undefined; readonly tag?: string | undefined}> {
  const named = annotations[ANNOTATION.refName]
  if (named !== undefined) {
    const meaning = meaningOf(named)
    if (meaning.kind !== 'foreign') {
      return {resource: meaning.kind === 'config' ? 'config' : meaning.resource, tag: named}
    }
  }

  const {failures, repository, signal} = context
  try {
    const {size} = await repository.blobs.resolve(layer, {signal})
    const target = {digest: layer, mediaType: MEDIA_TYPE.octetStream, size}
    if (size < HEADER_BYTES) return {}
    const head = await repository.blobs.fetch(target, {range: {length: HEADER_BYTES, offset: 0}, signal})
    const bytes = await collect(head, {limit: HEADER_BYTES, what: layer})
    failures.succeeded()
    const resource = resourceOfType(parseHeader(bytes, layer).type)
    if (resource !== 'packfile') return {resource}
    return {resource, tag: await nameOfPackfile(target, context)}
  } catch (error) {
    if (isNotFound(error) || hasCode(error, 'INTEGRITY') || hasCode(error, 'STORE_FORMAT')) return {}
    failures.failed(error, layer, {})
    return {}
  }
}

/** A packfile's name follows from its content, when the key is known. */
async function nameOfPackfile(target: Descriptor, context: StorageContext): Promise<string | undefined> {
  const {keys, onBytes, repository, signal} = context
  return keys.lend('packfile', async (_envelope, naming) => {
    if (!naming) return
    const hasher = new DataHasher(naming, target.size)
    const stream = await repository.blobs.fetch(target, {signal})
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      hasher.update(chunk)
      onBytes?.(chunk.length)
    }

    return tagOf('packfile', macFromBytes(Buffer.from(hasher.value(), 'hex')))
  })
}

async function fetchOrNone(
  digest: Digest,
  {failures, repository, signal}: StorageContext,
): Promise<FetchedManifest | undefined> {
  try {
    const fetched = await repository.manifests.get(digest, {signal})
    failures.succeeded()
    return fetched
  } catch (error) {
    return passOver(error, digest, failures)
  }
}

/** What has no tag and cannot be read is nobody's loss; only what ends the check is thrown. */
function passOver(error: unknown, what: string, failures: Failures): undefined {
  if (!isNotFound(error) && !hasCode(error, 'INTEGRITY')) failures.failed(error, what, {})
}

function objectIn(manifest: FetchedManifest): ObjectManifest | undefined {
  try {
    return readObjectManifest(manifest, manifest.descriptor.digest)
  } catch {
    return undefined
  }
}

/** A blob that is an object's manifest after all: its entry in the index was lost. */
async function manifestIn(
  blob: Descriptor,
  {failures, repository, signal}: StorageContext,
): Promise<FetchedManifest | undefined> {
  try {
    const stream = await repository.blobs.fetch(blob, {signal})
    const bytes = await collect(stream, {limit: MAX_MANIFEST_GUESS, what: blob.digest})
    failures.succeeded()
    if (bytes[0] !== 0x7b) return
    const raw = {bytes, mediaType: MEDIA_TYPE.imageManifest}
    const manifest = {...raw, descriptor: {...describeManifest(raw), digest: blob.digest}}
    return objectIn(manifest) && manifest
  } catch (error) {
    return passOver(error, blob.digest, failures)
  }
}
