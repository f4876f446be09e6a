import type {ErrorCode} from './errors.js'

/**
 * Exit statuses, aligned with plakar's own where it has one.
 * 2 is the argument parser's and never ours.
 */
export const EXIT = {
  alreadyExists: 73,
  auth: 77,
  damage: 65,
  done: 0,
  interrupted: 130,
  notFound: 66,
  partial: 75,
  unavailable: 69,
  unexpected: 1,
  unknownVersion: 78,
  usage: 64,
} as const

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
