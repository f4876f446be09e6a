import type {Digest} from '../../registry/digest.js'
import type {ContentSource} from '../../util/content-source.js'
import type {RepairAction, RepairStep, TagState} from '../plan/types.js'
import type {ApplyContext} from './context.js'

import {IntegrityError, isNotFound, NotFoundError} from '../../errors.js'
import {CONFIG_BLOB, CONFIG_DESCRIPTOR, readObjectManifest} from '../../kloset/object-manifest.js'
import {type FetchedManifest, type RawManifest} from '../../registry/manifest.js'
import {MEDIA_TYPE} from '../../registry/media-types.js'
import {bufferSource} from '../../util/content-source.js'
import {tagStateOf} from '../tag-state.js'
import {fetchCopy} from './fetch-copy.js'
import {rebuildState} from './rebuild.js'
import {removeTag} from './remove-tag.js'
import {replaceDamaged} from './reseal.js'
import {salvagePackfile} from './salvage-step.js'
import {readBack, replaceBlob, writeObject} from './write-object.js'

/**
 * Does what a step says; what it replaces is in the quarantine by then. Doing it twice comes to the same.
 * @returns what the step's tag leads to afterwards
 */
export async function perform(step: RepairStep, context: ApplyContext): Promise<TagState> {
  const {action} = step
  switch (action.kind) {
    case 'put-blob': {
      return putBlob(step, action, context)
    }

    case 'put-config-blob': {
      return putConfigBlob(step, action, context)
    }

    case 'put-object': {
      const {force, from} = action
      const copy = await fetchCopy(step, from, context)
      try {
        const anew = force ? await replaceDamaged(step, copy, context) : undefined
        return anew ?? (await writeObject(step, {digest: from.digest, size: copy.size, source: copy}, context))
      } finally {
        await copy.dispose()
      }
    }

    case 'rebuild-state': {
      return rebuildState(step, action, context)
    }

    case 'remove-tag': {
      return removeTag(step, context)
    }

    case 'retag': {
      return retag(step, action, context)
    }

    case 'rewrite-manifest': {
      const {layer, size} = action
      const found = await context.repository.blobs.resolve(layer, {signal: context.signal})
      if (found.size !== size) throw changed(step, `${layer} has ${found.size} bytes, not ${size}`)
      return writeObject(step, {digest: layer, size, source: alreadyThere(step, layer, size)}, context)
    }

    case 'salvage-packfile': {
      return salvagePackfile(step, action, context)
    }

    default: {
      throw new TypeError(`no such action: ${String(action satisfies never)}`)
    }
  }
}

type Action<K extends RepairAction['kind']> = Extract<RepairAction, {readonly kind: K}>

async function putBlob(step: RepairStep, {digest, force, from}: Action<'put-blob'>, context: ApplyContext) {
  const {repository, signal} = context
  const copy = await fetchCopy(step, from, context)
  try {
    const target = {digest, mediaType: MEDIA_TYPE.octetStream, size: copy.size}
    const anew = force ? await replaceDamaged(step, copy, context) : undefined
    if (anew) return anew
    if (!force) await repository.blobs.push(target, copy, {signal})
    const {size} = await repository.blobs.resolve(digest, {signal})
    if (size !== copy.size) throw new IntegrityError(`${digest}: has ${size} bytes after the write`, {facts: {digest}})
    return await tagStateOf(repository, step.tag, {signal})
  } finally {
    await copy.dispose()
  }
}

async function putConfigBlob(step: RepairStep, {digest, force}: Action<'put-config-blob'>, context: ApplyContext) {
  const {repository, signal} = context
  if (digest !== CONFIG_DESCRIPTOR.digest) throw changed(step, `${digest} is not the shared config blob`)
  await (force
    ? replaceBlob(CONFIG_DESCRIPTOR, bufferSource(CONFIG_BLOB), context)
    : repository.blobs.push(CONFIG_DESCRIPTOR, bufferSource(CONFIG_BLOB), {signal}))
  return tagStateOf(repository, step.tag, {signal})
}

async function retag(step: RepairStep, {layer, manifest}: Action<'retag'>, context: ApplyContext): Promise<TagState> {
  const {journal, repository, signal} = context
  await journal.add({after: [manifest], event: 'writing', step: step.id, tag: step.tag})
  const raw = await manifestBytes(manifest, context)
  if (readObjectManifest(raw, step.tag).layer !== layer) throw changed(step, `${manifest} names another blob`)
  await repository.manifests.push({bytes: raw.bytes, mediaType: raw.mediaType}, {signal, tag: step.tag})
  await readBack(step.tag, manifest, {digest: layer, mediaType: MEDIA_TYPE.octetStream, size: -1}, context)
  return manifest
}

/** A manifest by its digest: from the store, or from what an earlier step has put into the quarantine. */
async function manifestBytes(digest: Digest, context: ApplyContext): Promise<FetchedManifest | RawManifest> {
  const {journal, quarantine, repository, sealed, signal} = context
  try {
    return await repository.manifests.get(digest, {signal})
  } catch (error) {
    if (!isNotFound(error)) throw error
    for (const {id} of sealed.plan.steps) {
      for (const {record} of journal.step(id).records) {
        const kept = await quarantine.load(record, {signal})
        const raw = kept.state === digest ? await quarantine.manifestOf(kept, {signal}) : undefined
        if (raw) return raw
      }
    }

    throw error
  }
}

/** For writers that look whether a blob is there before they send it: it is. */
function alreadyThere({tag}: RepairStep, digest: Digest, size: number): ContentSource {
  return {
    open() {
      throw new NotFoundError(`${tag}: its content ${digest} has gone since it was looked at`, {facts: {digest}})
    },
    size,
  }
}

function changed({id, tag}: RepairStep, how: string): IntegrityError {
  return new IntegrityError(`step ${id}: ${tag}: ${how}`, {
    facts: {step: id, tag},
    suggestions: ['The store has changed since the plan was made: make a new one.'],
  })
}
