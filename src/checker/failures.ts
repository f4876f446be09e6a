import type {Finding, FindingDetails, FindingKind} from './findings.js'

import {hasCode, KlosetOciError, messageOf} from '../errors.js'
import {SEVERITIES} from './findings.js'

/** Makes a finding of a kind, with the severity that the kind has. Where it has no next step `Tally` adds that of the kind. */
export function finding(kind: FindingKind, message: string, details: FindingDetails = {}): Finding {
  return {...details, kind, message, severity: SEVERITIES[kind]}
}

/** Failures one after another, with no success between them, after which a registry is taken to be down. */
const MAX_FAILURES_IN_A_ROW = 24

/** Codes that say that the registry, the way to it or the disk failed: nothing is known about the object. */
const UNKNOWN_OUTCOME = new Set(['IO', 'LOCKED', 'PROTOCOL', 'RATE_LIMITED', 'REGISTRY', 'UNREACHABLE', 'UNSUPPORTED'])

/**
 * Tells damage from failure. Failures become `unreachable` findings; a registry that only fails, or that lets us in
 * no longer, ends the check.
 */
export class Failures {
  #inARow = 0

  /**
   * The finding for a call that failed without an answer about the object.
   * @throws the error itself when it ends the check: interruption, missing rights, a registry that is down
   */
  failed(error: unknown, what: string, details: FindingDetails): Finding {
    if (!(error instanceof KlosetOciError) || !UNKNOWN_OUTCOME.has(error.code)) throw error
    this.#inARow += 1
    if (this.#inARow >= MAX_FAILURES_IN_A_ROW) throw error
    const [nextStep] = error.suggestions
    return finding('unreachable', `${what}: ${messageOf(error)}`, {...factsOf(error), ...details, nextStep})
  }

  /** A call that was answered, whatever the answer. */
  succeeded(): void {
    this.#inARow = 0
  }
}

/** Status and attempts out of an error's facts. */
export function factsOf(error: unknown): FindingDetails {
  if (!(error instanceof KlosetOciError)) return {}
  const {attempts, status} = error.facts
  return {
    ...(typeof attempts === 'number' && {attempts}),
    ...(typeof status === 'number' && {status}),
  }
}

/** What an integrity error says it found instead. */
export function actualOf(error: unknown): number | string | undefined {
  if (!hasCode(error, 'INTEGRITY')) return undefined
  const actual = error.facts['actual'] ?? error.facts['actualSize']
  return typeof actual === 'boolean' ? undefined : actual
}
