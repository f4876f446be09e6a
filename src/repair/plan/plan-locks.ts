import type {Finding} from '../../checker/findings.js'
import type {Digest} from '../../registry/digest.js'
import type {PlanContext} from './context.js'

import {isNotFound, KlosetOciError} from '../../errors.js'
import {LOCK_TTL_MS} from '../../kloset/lock.js'
import {readObjectManifest} from '../../kloset/object-manifest.js'
import {ANNOTATION} from '../../registry/media-types.js'
import {draft} from './draft.js'

/**
 * Plans for locks: stale ones go, and damaged ones that no holder can have refreshed lately. A lock cannot be brought
 * back, and need not be: its holder writes it anew.
 */
export async function planLocks(findings: readonly Finding[], context: PlanContext): Promise<void> {
  const {book, now, repository, signal} = context
  const byTag = new Map<string, Finding[]>()
  for (const finding of findings) {
    if (finding.object?.resource !== 'lock' || finding.tag === undefined) continue
    byTag.set(finding.tag, [...(byTag.get(finding.tag) ?? []), finding])
  }

  for (const [tag, found] of byTag) {
    const {mac} = found[0]!.object!
    await book.rely(repository, tag, signal)
    const stale = found.find(({kind}) => kind === 'lock-stale')
    const current = await readLockManifest(tag, context)
    // What was found stale may have been written anew since: the plan relies on what is there now.
    const isStale = stale !== undefined && (!current || current.layer === stale.digest)
    const isRenewed = stale !== undefined && !isStale
    const written = isStale ? undefined : current?.written
    if (isRenewed || (written !== undefined && now - written < LOCK_TTL_MS)) {
      const reason = isRenewed
        ? `${tag}: was written anew while the plan was made: it is held`
        : `${found[0]!.message}: written less than ten minutes ago, so it may be held; make a new plan later`
      book.lose({paths: [], reason, snapshots: [], tag})
      continue
    }

    const step = draft({mac, resource: 'lock', tag}, {kind: 'remove-tag'}, {sources: book.locations, why: found})
    const unsure = !isStale && written === undefined
    book.add(
      unsure
        ? {...step, risk: `its age cannot be read: make sure that no plakar works on the store. ${step.risk}`}
        : step,
    )
  }
}

/** Where a lock's content lies, and when it was written, as its manifest says. */
async function readLockManifest(
  tag: string,
  {repository, signal}: PlanContext,
): Promise<undefined | {readonly layer: Digest; readonly written: number | undefined}> {
  try {
    const {annotations, layer} = readObjectManifest(await repository.manifests.get(tag, {signal}), tag)
    const written = Date.parse(annotations[ANNOTATION.created] ?? '')
    return {layer, written: Number.isNaN(written) ? undefined : written}
  } catch (error) {
    if (isNotFound(error)) return undefined
    if (error instanceof KlosetOciError && ['INTEGRITY', 'PROTOCOL', 'STORE_FORMAT'].includes(error.code))
      return undefined
    throw error
  }
}
