import {lockFile} from '../util/file-lock.js'

/**
 * Keeps a second process from working on the same plan.
 * @returns what lets it go
 * @throws LockedError when another process works on it
 */
export async function lockPlan(path: string): Promise<() => Promise<void>> {
  return lockFile(path, 'works on this plan')
}
