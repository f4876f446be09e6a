import type {Digest} from '../registry/digest.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {PruneResidue} from './prune.js'
import type {Quarantine} from './quarantine.js'

import {isNotFound} from '../errors.js'
import {canCollectGarbage} from '../registry/interfaces.js'
import {throwIfAborted} from '../util/abort.js'

/** Blobs younger than this stay, whatever else is asked for: the manifest of a push under way may come yet. */
const MIN_GRACE_MS = 60 * 60 * 1000

export interface FreedResidue {
  readonly blobs: number
  readonly bytes: number
  readonly manifests: number
}

/**
 * Removes what no tag leads to: manifests go to the quarantine first, then the storage is freed of blobs that no manifest
 * reaches, those of removed objects among them. Broken off, it is simply run again.
 */
export async function removeResidue(
  repository: Repository,
  {manifests}: PruneResidue,
  {graceMs, quarantine, signal}: CallOptions & {readonly graceMs: number; readonly quarantine: Quarantine | undefined},
): Promise<FreedResidue> {
  let removed = 0
  const tagged = manifests.length > 0 ? await taggedManifests(repository, signal) : new Set<Digest>()
  for (const digest of manifests) {
    throwIfAborted(signal)
    if (tagged.has(digest)) continue
    try {
      await quarantine?.save(`untagged-${digest.replace(':', '-').slice(0, 100)}`, digest, repository, {signal})
      await repository.manifests.delete(digest, {signal})
      removed++
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
  }

  if (!canCollectGarbage(repository)) return {blobs: 0, bytes: 0, manifests: removed}
  const {blobs, bytes} = await repository.collectGarbage({graceMs: Math.max(MIN_GRACE_MS, graceMs), signal})
  return {blobs: blobs.length, bytes, manifests: removed}
}

/** Tagged since it was planned: then it is somebody's. */
async function taggedManifests(repository: Repository, signal: AbortSignal | undefined): Promise<Set<Digest>> {
  const digests = new Set<Digest>()
  for await (const tag of repository.tags({signal})) {
    try {
      digests.add((await repository.manifests.resolve(tag, {signal})).digest)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
  }

  return digests
}
