import type {ResourceName} from '../kloset/resource.js'
import type {Finding, FindingKind, Severity} from './findings.js'

import {EXIT} from '../exit-codes.js'
import {isInFolder} from '../registry/reference.js'
import {isDamage, isGap} from './findings.js'
import {firstStep, nextSteps} from './next-steps.js'

/** `clean` is said only of what was seen as a whole; `partial` when a budget ended before the work. */
export const VERDICTS = ['clean', 'damaged', 'incomplete', 'partial', 'unknown-version'] as const
export type Verdict = (typeof VERDICTS)[number]

/** What a check came to. */
export interface CheckSummary {
  /** Bytes that are there, by kind of object. */
  readonly bytes: Readonly<Record<ResourceName, number>>
  /** Bytes that were downloaded. */
  readonly bytesRead: number
  /** False when anything could not be looked at: then nothing is said to be sound. */
  readonly complete: boolean
  /** Whether contents were downloaded and checked, or their presence and sizes only. */
  readonly deep: boolean
  readonly findings: Readonly<Record<Severity, number>>
  readonly kinds: Readonly<Partial<Record<FindingKind, number>>>
  /** What to do, the least destructive first. */
  readonly nextSteps: readonly string[]
  /** What was not checked, and why, in plain sentences. */
  readonly notChecked: readonly string[]
  /** Objects by kind, and tags of others. */
  readonly objects: Readonly<Record<'foreign' | ResourceName, number>>
  readonly verdict: Verdict
}

/** So many different next steps are told that are not those of a kind. */
const MAX_OWN_STEPS = 3

/** Counts findings and objects as they come, and says what each finding asks for. */
export class Tally {
  readonly bytes: Record<ResourceName, number> = {config: 0, lock: 0, packfile: 0, state: 0}
  bytesRead = 0
  readonly notChecked: string[] = []
  readonly objects: Record<'foreign' | ResourceName, number> = {config: 0, foreign: 0, lock: 0, packfile: 0, state: 0}
  #damage = false
  #gap = false
  readonly #isFolder: boolean
  readonly #kinds = new Map<FindingKind, number>()
  /** What findings ask for that others of their kind do not. */
  readonly #ownSteps = new Set<string>()
  readonly #severities: Record<Severity, number> = {error: 0, info: 0, warning: 0}

  /** @param location of the store: next steps speak of what it is */
  constructor(location: string) {
    this.#isFolder = isInFolder(location)
  }

  /** Whether anything could not be looked at so far. */
  get hasGap(): boolean {
    return this.#gap
  }

  count(found: Finding): Finding {
    this.#severities[found.severity] += 1
    this.#kinds.set(found.kind, (this.#kinds.get(found.kind) ?? 0) + 1)
    this.#damage ||= isDamage(found)
    this.#gap ||= isGap(found)
    const {nextStep} = found
    if (nextStep !== undefined && this.#ownSteps.size < MAX_OWN_STEPS) this.#ownSteps.add(nextStep)
    return {...found, nextStep: nextStep ?? firstStep(found.kind, {isFolder: this.#isFolder})}
  }

  summary(deep: boolean): CheckSummary {
    return {
      bytes: {...this.bytes},
      bytesRead: this.bytesRead,
      complete: !this.#gap,
      deep,
      findings: {...this.#severities},
      kinds: Object.fromEntries(this.#kinds),
      nextSteps: [...this.#ownSteps, ...nextSteps(this.#kinds.keys(), {deep, isFolder: this.#isFolder})],
      notChecked: [...this.notChecked],
      objects: {...this.objects},
      verdict: this.#verdict(),
    }
  }

  #verdict(): Verdict {
    if (this.#damage) return 'damaged'
    if (this.#gap) return 'incomplete'
    return this.#kinds.has('unknown-version') ? 'unknown-version' : 'clean'
  }
}

/** The exit status that a check ends in. */
export function exitCodeOf({verdict}: Pick<CheckSummary, 'verdict'>): number {
  switch (verdict) {
    case 'clean': {
      return EXIT.done
    }

    case 'damaged': {
      return EXIT.damage
    }

    case 'incomplete': {
      return EXIT.unavailable
    }

    case 'partial': {
      return EXIT.partial
    }

    case 'unknown-version': {
      return EXIT.unknownVersion
    }

    default: {
      return verdict satisfies never
    }
  }
}
