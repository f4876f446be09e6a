import {LockedError} from '../errors.js'
import {errnoOf, localIoError} from './fs-error.js'

/** A holder that has not touched its lock for so long is dead. */
const STALE_MS = 10_000

/**
 * Keeps a second process from working on the same file. The lock is a folder beside it, kept fresh while it is held.
 * @param busy what another holder does, for the error: "works on this plan"
 * @returns what lets it go
 * @throws LockedError when another process has it
 */
export async function lockFile(path: string, busy: string): Promise<() => Promise<void>> {
  const {lock} = await import('proper-lockfile')
  try {
    return await lock(path, {lockfilePath: `${path}.lock`, realpath: false, retries: 0, stale: STALE_MS, update: 2000})
  } catch (error) {
    if (errnoOf(error) !== 'ELOCKED') throw localIoError(error, 'lock', path)
    throw new LockedError(`${path}: another process ${busy}`, {
      cause: error,
      suggestions: ['Wait until it is over. After a crash the lock is free within ten seconds.'],
    })
  }
}
