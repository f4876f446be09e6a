import type {Clocks, LockLook} from '../checker/index.js'

import {LOCK_TTL_MS} from '../kloset/lock.js'
import {paint} from './colors.js'
import {humanDuration} from './format.js'

/** A lock as `--json` tells it. */
export type LockJson = LockLook & {readonly ttlMs: number}

export function lockJson(look: LockLook): LockJson {
  return {...look, ttlMs: LOCK_TTL_MS}
}

/** Columns of a lock, without its MAC: state, mode, host, age. */
export function lockCells(look: LockLook): string[] {
  return [stateText(look), look.mode ?? '?', hostText(look), ageText(look)]
}

function stateText({riddle, state}: LockLook): string {
  if (state === 'stale') return paint.yellow('stale')
  if (state === 'fresh') return paint.green('fresh')
  return paint.dim(riddle === 'damaged' ? 'damaged' : 'unknown')
}

/** A name that somebody else wrote: no control characters on our terminal. */
function hostText({hostname}: LockLook): string {
  if (hostname === undefined) return '?'
  return hostname.replaceAll(/[^\u0020-\u007E\u00A0-\uFFFF]/g, '?').slice(0, 60) || '(unnamed)'
}

function ageText({ageMs, problem, riddle, written}: LockLook): string {
  if (ageMs === undefined) {
    const why = riddle === 'no-passphrase' ? 'unknown without the passphrase' : (problem ?? 'cannot be read')
    return written === undefined ? why : `${why}; written ${written}, says its manifest`
  }

  if (ageMs < 0) return `renewed just now, by a clock ${humanDuration(-ageMs)} ahead of this one`
  return `renewed ${humanDuration(ageMs)} ago, ${ageMs >= LOCK_TTL_MS ? 'dead after' : 'of'} ${humanDuration(LOCK_TTL_MS)}`
}

/** What the clocks have to say, when they do not agree. */
export function clockNote({skewMs}: Clocks): string | undefined {
  if (skewMs === undefined) return undefined
  const apart = `${humanDuration(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'}`
  return `warning: the registry's clock is ${apart} this machine's; a lock counts as stale when it is by both. Synchronise the clocks.`
}
