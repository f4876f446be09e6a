import {finished} from 'node:stream/promises'

import type {Descriptor} from '../../registry/descriptor.js'
import type {ContentSource} from '../../util/content-source.js'
import type {RepairStep} from '../plan/types.js'

import {hasCode, IntegrityError, isNotFound, KlosetOciError} from '../../errors.js'
import {buildObjectManifest} from '../../kloset/object-manifest.js'
import {ObjectWriter} from '../../kloset/object-writer.js'
import {type Digest} from '../../registry/digest.js'
import {describeManifest} from '../../registry/manifest.js'
import {MEDIA_TYPE} from '../../registry/media-types.js'
import {isInFolder} from '../../registry/reference.js'
import {tagStateOf} from '../tag-state.js'
import {type ApplyContext, createdOf} from './context.js'

export interface ObjectToWrite {
  readonly digest: Digest
  readonly size: number
  readonly source: ContentSource
}

/** The step that writes, and the tag that it writes: its own, or one that it makes. */
export type WriteTarget = Pick<RepairStep, 'id' | 'tag'> & {readonly object: Pick<RepairStep['object'], 'resource'>}

/**
 * Writes an object under the step's tag: blob, then manifest, then a look at what is there. The journal learns first
 * which manifests the tag may lead to afterwards.
 */
export async function writeObject(step: WriteTarget, object: ObjectToWrite, context: ApplyContext): Promise<Digest> {
  const {journal, repository, sealed, signal} = context
  const layer = {digest: object.digest, mediaType: MEDIA_TYPE.octetStream, size: object.size}
  const created = createdOf(sealed)
  const {resource} = step.object
  const after = [true, false].map((artifactType) => {
    const manifest = buildObjectManifest({artifactType, created, layer, resource, tag: step.tag})
    return describeManifest(manifest).digest
  })
  await journal.add({after, event: 'writing', step: step.id, tag: step.tag})
  const outgoing = {layer, resource, source: object.source, tag: step.tag}
  const pushed = await ObjectWriter.for(repository).write(outgoing, {created, probe: true, signal})
  await readBack(step.tag, pushed.digest, layer, context)
  return pushed.digest
}

/**
 * Puts sound bytes in the place of damaged ones with the same digest, and reads them back. A registry that keeps what it
 * has, since it is there, is asked to delete it first.
 * @throws KlosetOciError `DAMAGE` when the damaged bytes stay
 */
export async function replaceBlob(target: Descriptor, source: ContentSource, context: ApplyContext): Promise<void> {
  const {repository, signal} = context
  await repository.blobs.push(target, source, {force: true, signal})
  if (await isSound(target, context)) return
  await repository.blobs.delete(target.digest, {signal}).catch((error: unknown) => {
    if (!isNotFound(error) && !hasCode(error, 'UNSUPPORTED')) throw error
  })
  await repository.blobs.push(target, source, {force: true, signal})
  if (await isSound(target, context)) return
  const inFolder = isInFolder(repository.location)
  const keeper = inFolder ? 'folder' : 'registry'
  throw new KlosetOciError('DAMAGE', `${target.digest}: the ${keeper} keeps the damaged bytes, whatever is sent`, {
    facts: {digest: target.digest},
    suggestions: [
      inFolder
        ? 'Check the disk that the folder is on (the system log tells more), then run `repair apply` again.'
        : "Remove the blob in the registry's own storage or let its garbage collection take it, restart the registry, then run `repair apply` again.",
      'Or copy the store into a new repository, and repair that.',
    ],
  })
}

/** Whether the store now gives the bytes whose digest it is. */
async function isSound(target: Descriptor, {repository, signal}: ApplyContext): Promise<boolean> {
  try {
    // The stream checks itself.
    const stream = await repository.blobs.fetch(target, {signal})
    await finished(stream.resume())
    return true
  } catch (error) {
    if (hasCode(error, 'INTEGRITY') || isNotFound(error)) return false
    throw error
  }
}

/** @throws IntegrityError when the store does not hold what it has just acknowledged */
export async function readBack(
  tag: string,
  manifest: Digest,
  layer: Descriptor,
  {repository, signal}: ApplyContext,
): Promise<void> {
  const actual = await tagStateOf(repository, tag, {signal})
  if (actual !== manifest) {
    throw new IntegrityError(`${tag}: leads to ${actual} after the write, expected ${manifest}`, {
      facts: {actual, expected: manifest, tag},
    })
  }

  const {size} = await repository.blobs.resolve(layer.digest, {signal})
  if (layer.size >= 0 && size !== layer.size) {
    throw new IntegrityError(`${tag}: ${layer.digest} has ${size} bytes after the write, expected ${layer.size}`, {
      facts: {actualSize: size, digest: layer.digest, expectedSize: layer.size},
    })
  }
}
