import type {Finding, FindingKind} from '../../checker/findings.js'
import type {Repository} from '../../registry/interfaces.js'
import type {Source} from '../sources/source.js'
import type {StepDraft} from './draft.js'
import type {PlanCoverage, RepairPlan, RepairStep, TagState, Unfixable} from './types.js'

import {SEVERITIES} from '../../checker/findings.js'
import {CONFIG_TAG} from '../../kloset/resource.js'
import {tagStateOf} from '../tag-state.js'

/** Kinds below an error that a plan does something about. */
const ALSO: ReadonlySet<FindingKind> = new Set(['lock-stale', 'packfile-unknown', 'removal-cut-off', 'size-unstated'])

/** Kinds that say that not everything was seen. */
const GAPS: ReadonlySet<FindingKind> = new Set(['list-incomplete', 'unreachable'])

/** What a plan is made of, while it is made. */
export class PlanBook {
  readonly #drafts: StepDraft[] = []
  #isComplete = true
  #notChecked: readonly string[] = []
  readonly #notes: string[] = []
  readonly #relies = new Map<string, TagState>()
  readonly #sources: readonly Source[]
  readonly #unfixable: Unfixable[] = []
  #untagged = 0

  constructor(sources: readonly Source[]) {
    this.#sources = sources
  }

  /** Whether what is planned so far makes or removes a state, or changes one. */
  get changesStates(): boolean {
    return this.#drafts.some(({action, object}) => object.resource === 'state' || action.kind === 'salvage-packfile')
  }

  get locations(): readonly string[] {
    return this.#sources.map(({kind, location}) => (kind === 'self' ? 'the store itself' : location))
  }

  get notes(): readonly string[] {
    return this.#notes
  }

  get relies(): RepairPlan['relies'] {
    return Object.fromEntries(this.#relies)
  }

  get sources(): RepairPlan['sources'] {
    return this.#sources.map(({kind, location}) => ({kind, location}))
  }

  get unfixable(): readonly Unfixable[] {
    return this.#unfixable
  }

  add(...drafts: readonly StepDraft[]): void {
    this.#drafts.push(...drafts)
  }

  /** How far it was looked. @param isReadable whether it is known what states refer to */
  coverage({isReadable}: {readonly isReadable: boolean}): PlanCoverage {
    const complete = this.#isComplete
    return {complete, notChecked: this.#notChecked, partial: !complete || !isReadable}
  }

  lose(...unfixable: readonly Unfixable[]): void {
    this.#unfixable.push(...unfixable)
  }

  note(...notes: readonly string[]): void {
    for (const note of notes) if (!this.#notes.includes(note)) this.#notes.push(note)
  }

  /** Tells what was not checked, in the words of the check. */
  noteNotChecked(notChecked: readonly string[]): void {
    this.#notChecked = notChecked
    for (const what of notChecked) {
      const more = what.includes('passphrase')
        ? ' So the plan knows only what can be seen from outside: plan again with the passphrase (--passphrase-file, PLAKAR_PASSPHRASE).'
        : ''
      this.note(`Not looked at: ${what}.${more}`)
    }
  }

  /** Tells of objects without a tag. @param isReadable whether states tell which of them are needed */
  noteUntagged({isReadable}: {readonly isReadable: boolean}): void {
    if (this.#untagged === 0) return
    const what = this.#untagged === 1 ? '1 object lies' : `${this.#untagged} objects lie`
    const then = isReadable
      ? 'what a state needs gets it back, and the rest stays as it is.'
      : 'whether it is needed cannot be told without the passphrase. Plan again with it.'
    this.note(`${what} in the store without a tag: ${then}`)
  }

  /** What the plan relies on of a tag; undefined while it does not. */
  reliedOn(tag: string): TagState | undefined {
    return this.#relies.get(tag)
  }

  /** Remembers what a tag leads to, before anything is decided about it. */
  async rely(repository: Repository, tag: string, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#relies.has(tag)) this.#relies.set(tag, await tagStateOf(repository, tag, {signal}))
  }

  /** The steps in their order, with what their plan relies on. */
  steps(): readonly RepairStep[] {
    const ordered = this.#drafts.toSorted((a, b) => a.order - b.order || (a.tag < b.tag ? -1 : 1))
    const tags = new Set([CONFIG_TAG, ...ordered.map(({tag}) => tag)])
    for (const tag of this.#relies.keys()) if (!tags.has(tag)) this.#relies.delete(tag)
    return ordered.map(({order: _, ...step}, index) => ({...step, id: index + 1}))
  }

  /** Whether the plan does something about a finding; what else its reader should know is noted. */
  take(finding: Finding): boolean {
    const {kind, message} = finding
    if (GAPS.has(kind)) {
      this.#isComplete = false
      this.note(`Not seen, so not planned for: ${message}. Run it again when it can be.`)
      return false
    }

    if (kind === 'untagged-object') this.#untagged += 1
    if (kind === 'trial-tags') this.note(`${message}. \`doctor\` removes them when they are old enough.`)
    if (kind === 'lock-held') this.note(`In use: ${message}. The plan cannot be applied while it is held.`)
    return SEVERITIES[kind] === 'error' || ALSO.has(kind)
  }
}
