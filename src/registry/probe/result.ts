import type {Facts} from '../../errors.js'

import {KlosetOciError, messageOf} from '../../errors.js'

/** What is looked at, in this order. Scripts branch on the names. */
export const PROBES = [
  'api',
  'clock',
  'credential',
  'pull',
  'paging',
  'limits',
  'push',
  'range',
  'chunked-upload',
  'manifest',
  'artifact-type',
  'tag-mutability',
  'untagged',
  'delete-tag',
  'delete-digest',
  'referrers',
  'leftovers',
  'cleanup',
] as const

export type ProbeName = (typeof PROBES)[number]

/** `fail`: something will not work. `warn`: it works, with a price. `skip`: not looked at, `message` says why. */
export type ProbeStatus = 'fail' | 'ok' | 'skip' | 'warn'

/** What one probe came to. */
export interface ProbeResult {
  /** Stable code of the error behind a failure: `UNAUTHORIZED`, `UNREACHABLE`… */
  readonly code?: string
  readonly facts: Facts
  /** One sentence, in lower case: what works, or what does not. */
  readonly message: string
  readonly name: ProbeName
  /** What to do about it. */
  readonly nextSteps: readonly string[]
  readonly status: ProbeStatus
}

export interface ProbeDetails {
  readonly facts?: Facts
  readonly next?: string
}

export function ok(name: ProbeName, message: string, facts: Facts = {}): ProbeResult {
  return {facts, message, name, nextSteps: [], status: 'ok'}
}

export function warn(name: ProbeName, message: string, {facts = {}, next}: ProbeDetails = {}): ProbeResult {
  return {facts, message, name, nextSteps: next === undefined ? [] : [next], status: 'warn'}
}

export function skip(name: ProbeName, message: string): ProbeResult {
  return {facts: {}, message, name, nextSteps: [], status: 'skip'}
}

/** A failure that is an error: its own words, code, facts and next steps. */
export function failed(name: ProbeName, error: unknown, what?: string): ProbeResult {
  const known = error instanceof KlosetOciError ? error : undefined
  return {
    code: known?.code ?? 'UNEXPECTED',
    facts: known?.facts ?? {},
    message: what === undefined ? messageOf(error) : `${what}: ${messageOf(error)}`,
    name,
    nextSteps: known?.suggestions ?? [],
    status: 'fail',
  }
}
