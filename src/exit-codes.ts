import type {ErrorCode} from './errors.js'

/**
 * Exit statuses, aligned with plakar's own where it has one.
 * 2 is the argument parser's, 141 what a shell reports of a program whose reader went away.
 */
export const EXIT = {
  alreadyExists: 73,
  auth: 77,
  closedPipe: 141,
  damage: 65,
  done: 0,
  interrupted: 130,
  notFound: 66,
  parser: 2,
  partial: 75,
  unavailable: 69,
  unexpected: 1,
  unknownVersion: 78,
  usage: 64,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** What each exit status tells a script: help texts and `docs/exit-codes.md` are made from this. */
export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  [EXIT.alreadyExists]: 'already exists',
  [EXIT.auth]: 'authentication or permission',
  [EXIT.closedPipe]: 'the reader of standard output went away before the end',
  [EXIT.damage]: 'damage found',
  [EXIT.done]: 'done, nothing wrong',
  [EXIT.interrupted]: 'interrupted; what was done is kept',
  [EXIT.notFound]: 'store or object not found, or nothing matched',
  [EXIT.parser]: 'usage: the command line was not understood',
  [EXIT.partial]: 'locked, or only a part was done',
  [EXIT.unavailable]: 'registry unreachable, or refusing after retries',
  [EXIT.unexpected]: 'unexpected failure, or a local file or pipe failed',
  [EXIT.unknownVersion]: 'format or version that this program does not know',
  [EXIT.usage]: 'usage: a bad reference, value or combination',
}

export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  ALREADY_EXISTS: EXIT.alreadyExists,
  DAMAGE: EXIT.damage,
  FORBIDDEN: EXIT.auth,
  INTEGRITY: EXIT.damage,
  INTERRUPTED: EXIT.interrupted,
  INVALID_ARGUMENT: EXIT.usage,
  INVALID_REFERENCE: EXIT.usage,
  IO: EXIT.unexpected,
  LOCKED: EXIT.partial,
  NOT_FOUND: EXIT.notFound,
  PARTIAL: EXIT.partial,
  PROTOCOL: EXIT.unavailable,
  RATE_LIMITED: EXIT.unavailable,
  REGISTRY: EXIT.unavailable,
  STORE_FORMAT: EXIT.damage,
  UNAUTHORIZED: EXIT.auth,
  UNREACHABLE: EXIT.unavailable,
  UNSUPPORTED: EXIT.unavailable,
  VERSION: EXIT.unknownVersion,
}
