import {lock} from 'proper-lockfile'

import {LockedError} from '../errors.js'
import {errnoOf, localIoError} from '../util/fs-error.js'

/** A holder that has not touched its lock for so long is dead. */
const STALE_MS = 10_000

/**
 * Keeps a second process from working on the same plan.
 * @returns what lets it go
 * @throws LockedError when another process works on it
 */
export async function lockPlan(path: string): Promise<() => Promise<void>> {
  try {
    return await lock(path, {lockfilePath: `${path}.lock`, realpath: false, retries: 0, stale: STALE_MS, update: 2000})
  } catch (error) {
    if (errnoOf(error) !== 'ELOCKED') throw localIoError(error, 'lock', path)
    throw new LockedError(`${path}: another process works on this plan`, {
      cause: error,
      suggestions: ['Wait until it is over. After a crash the lock is free within ten seconds.'],
    })
  }
}
