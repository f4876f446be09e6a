import type {Finding} from '../../checker/findings.js'
import type {Mac} from '../../kloset/mac.js'
import type {Clock} from '../../util/clock.js'
import type {PlanContext} from './context.js'

import {LockReader} from '../../checker/lock-look.js'
import {LOCK_TTL_MS} from '../../kloset/lock.js'
import {draft} from './draft.js'
import {lookAgain, type SecondLook} from './look-again.js'

export interface LockPlanContext extends PlanContext {
  readonly clock: Clock
}

/**
 * Plans for locks: stale ones go, and damaged ones that no holder can have refreshed lately. A lock cannot be brought
 * back, and need not be: its holder writes it anew.
 */
export async function planLocks(findings: readonly Finding[], context: LockPlanContext): Promise<void> {
  const byMac = new Map<Mac, Finding[]>()
  for (const finding of findings) {
    const {mac, resource} = finding.object ?? {}
    if (resource !== 'lock' || mac === undefined || finding.tag === undefined) continue
    byMac.set(mac, [...(byMac.get(mac) ?? []), finding])
  }

  if (byMac.size === 0) return
  const {book, clock, keys, overlay, repository, signal} = context
  const reader = await LockReader.open(overlay.withStorage(), {clock, secret: keys?.secret, signal})
  for (const [mac, found] of byMac) {
    const tag = found[0]!.tag!
    const verdict = judge(await lookAgain(mac, {book, reader, repository, signal}), found, reader.clocks.local)
    if ('held' in verdict && found.every(({kind}) => kind === 'removal-cut-off')) {
      book.note(`${tag}: its removal was cut off, and it is not ten minutes old: it counts as held until it is`)
      continue
    }

    if ('held' in verdict) {
      book.lose({paths: [], reason: verdict.held, snapshots: [], tag})
      continue
    }

    const step = draft({mac, resource: 'lock', tag}, {kind: 'remove-tag'}, {sources: book.locations, why: found})
    const {isUnsure} = verdict
    book.add(
      isUnsure
        ? {...step, risk: `its age cannot be read: make sure that no plakar works on the store. ${step.risk}`}
        : step,
    )
  }
}

/** Whether a lock may go, or why it may be held. */
function judge(
  {isRelied, look}: SecondLook,
  found: readonly Finding[],
  now: number,
): {readonly held: string} | {readonly isUnsure: boolean} {
  const {message, tag} = found[0]!
  if (!isRelied) return {held: `${tag}: was written anew while the plan was made: it is held`}
  switch (look?.state) {
    case 'fresh': {
      return {held: `${tag}: was renewed by its holder, or is by the registry's clock: it is held`}
    }

    case 'stale': {
      return {isUnsure: false}
    }

    default: {
      const written = Date.parse(look?.written ?? '')
      return now - written < LOCK_TTL_MS
        ? {held: `${message}: written less than ten minutes ago, so it may be held; make a new plan later`}
        : {isUnsure: Number.isNaN(written)}
    }
  }
}
