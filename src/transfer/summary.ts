import type {SourceConfiguration} from './config-gate.js'
import type {StoreListing} from './listing.js'

import {EXIT} from '../exit-codes.js'
import {type Resource, RESOURCES} from '../kloset/resource.js'
import {MacSet} from './mac-set.js'
import {COPY_STATUSES, type CopyFailure, type CopyOutcome, type CopyStatus} from './outcome.js'

export interface CopySummary {
  /** Bytes of objects that were sent; in a dry run, that would be. */
  readonly bytes: number
  /** Whether the target now holds everything of the source that was asked for. */
  readonly complete: boolean
  readonly counts: Readonly<Record<CopyStatus, number>>
  /** Objects of the source that are bad themselves, or that the target has with other content. */
  readonly damaged: number
  readonly dryRun: boolean
  /** Tags of no store, left alone. */
  readonly foreign: {readonly source: number; readonly target: number}
  /** Locks of the source that were left alone. */
  readonly locks: number
  /** Objects whose blob the registry took over by itself. */
  readonly mounted: number
  /** Objects whose manifest was written anew. */
  readonly rewritten: number
  /** States that the source lists. */
  readonly sourceStates: number
  readonly storeId: string
  /** Objects that only the target has: kept. */
  readonly targetOnly: Readonly<Record<Resource, number>>
}

interface Beginning {
  readonly dryRun: boolean
  readonly latest: StoreListing
  readonly resources: readonly Resource[]
  readonly source: SourceConfiguration
  readonly there: StoreListing
}

/** Counts what became of the objects. */
export class CopyTally {
  #beginning: Beginning | undefined
  #bytes = 0
  readonly #counts = Object.fromEntries(COPY_STATUSES.map((status) => [status, 0])) as Record<CopyStatus, number>
  #damaged = 0
  #isOver = false
  #mounted = 0
  #packfilesMissing = 0
  #rewritten = 0
  #targetOnly: Readonly<Record<Resource, MacSet>> | undefined

  /** Packfiles that should be at the target and are not, though the source has them. */
  get packfilesMissing(): number {
    return this.#packfilesMissing
  }

  get sourceMacs(): Readonly<Record<Resource, MacSet>> {
    return this.#begun().latest.macs
  }

  /** Locks that lay at the target when the copy began. */
  get targetLocks(): number {
    return this.#begun().there.macs.lock.size
  }

  get targetOnly(): Readonly<Record<Resource, MacSet>> {
    if (!this.#targetOnly) throw new TypeError('the copy has not been read to its end')
    return this.#targetOnly
  }

  begin(beginning: Beginning): void {
    this.#beginning = beginning
  }

  count(outcome: CopyOutcome): CopyOutcome {
    const {bytes, failure, mounted, note, resource, status} = outcome
    this.#counts[status] += 1
    this.#bytes += bytes
    if (mounted) this.#mounted += 1
    if (note !== undefined && status !== 'held-back') this.#rewritten += 1
    if (status !== 'failed' || !failure) return outcome
    if (failure.kind === 'damage') this.#damaged += 1
    if (resource === 'packfile' && !isFinal(failure)) this.#packfilesMissing += 1
    return outcome
  }

  end(): void {
    const {latest, there} = this.#begun()
    const only = (resource: Resource) => {
      const macs = new MacSet()
      for (const mac of there.macs[resource]) if (!latest.macs[resource].has(mac)) macs.add(mac)
      return macs
    }

    this.#targetOnly = {lock: only('lock'), packfile: only('packfile'), state: only('state')}
    this.#isOver = true
  }

  /** @throws TypeError before the end */
  summary(): CopySummary {
    const {dryRun, latest, resources, source, there} = this.#begun()
    if (!this.#isOver) throw new TypeError('the copy has not been read to its end')
    const {targetOnly} = this
    return {
      bytes: this.#bytes,
      complete: !dryRun && this.#counts.failed === 0 && this.#counts['held-back'] === 0,
      counts: this.#counts,
      damaged: this.#damaged,
      dryRun,
      foreign: {source: latest.foreign, target: there.foreign},
      locks: resources.includes('lock') ? 0 : latest.macs.lock.size,
      mounted: this.#mounted,
      rewritten: this.#rewritten,
      sourceStates: latest.macs.state.size,
      storeId: source.id,
      targetOnly: Object.fromEntries(RESOURCES.map((name) => [name, targetOnly[name].size])) as Record<
        Resource,
        number
      >,
    }
  }

  #begun(): Beginning {
    if (!this.#beginning) throw new TypeError('the copy has not begun')
    return this.#beginning
  }
}

/**
 * Whether waiting will not help: the packfile is bad at the source, whose states then promise as much as the target's
 * will, or the target has it with other content, which one bad object more or less does not change.
 */
function isFinal({code, kind, side}: CopyFailure): boolean {
  return kind === 'damage' && (side === 'source' || code === 'ALREADY_EXISTS')
}

/** 65 when an object is bad, 75 when one is missing for a reason that may pass, 0 otherwise. */
export function copyExitCode({counts, damaged}: CopySummary): number {
  if (damaged > 0) return EXIT.damage
  return counts.failed > 0 || counts['held-back'] > 0 ? EXIT.partial : EXIT.done
}
