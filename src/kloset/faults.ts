import {type ErrorCode, hasCode, type KlosetOciError} from '../errors.js'

/**
 * What is wrong with one object or blob and says nothing of the others: it is gone, damaged, or of a version that this
 * program does not know. Everything else (a registry that is down, missing rights, an interruption) ends the work.
 */
const OBJECT_FAULTS: readonly ErrorCode[] = ['DAMAGE', 'INTEGRITY', 'NOT_FOUND', 'PROTOCOL', 'STORE_FORMAT', 'VERSION']

/** Whether an error is about the one object that was read. */
export function isObjectFault(error: unknown): error is KlosetOciError {
  return OBJECT_FAULTS.some((code) => hasCode(error, code))
}
