import type {Mac} from '../../kloset/mac.js'
import type {Repository} from '../../registry/interfaces.js'

import {errorToJson, isNotFound} from '../../errors.js'
import {EXIT, EXIT_CODES} from '../../exit-codes.js'
import {formatUuid} from '../../kloset/configuration.js'
import {openStore} from '../../kloset/create.js'
import {tagOf} from '../../kloset/resource.js'
import {type CopyOptions, copyStore} from '../copy.js'
import {type CopyOutcome} from '../outcome.js'
import {copyExitCode, type CopySummary} from '../summary.js'
import {Explanations} from './explanations.js'
import {type LedgerRun, type MirrorLedger} from './ledger.js'

/** An object that the source had in an earlier run, and has no longer. The target keeps it. */
export interface GoneObject {
  readonly mac: Mac
  /** `maintenance`: plakar deleted it, its states say so. `accepted`: the operator said so. `unexplained`: nobody did. */
  readonly reason: 'accepted' | 'maintenance' | 'unexplained'
  readonly resource: 'packfile' | 'state'
  readonly status: 'gone'
  readonly tag: string
}

export interface MirrorOptions extends Omit<CopyOptions, 'dryRun'> {
  /** Take what has gone from the source as meant to: it is not told again. */
  readonly acceptGone?: boolean | undefined
}

export interface MirrorSummary extends CopySummary {
  readonly exitCode: number
  /** Objects that have gone from the source since they were seen there, by why. */
  readonly gone: Readonly<Record<GoneObject['reason'], number>>
  /** The last run before this one that brought everything; none when there was none. */
  readonly lastComplete: LedgerRun | undefined
  readonly run: number
  /** Lines of the ledger that could not be read. */
  readonly skippedLines: number
}

/**
 * Copies a store as `copyStore` does, and remembers: what was brought when, and what the source had. Nothing is ever
 * deleted at the target. Iterate it for what was done and what has gone, then ask for its `summary`.
 */
export function mirrorStore(
  from: Repository,
  to: Repository,
  ledger: MirrorLedger,
  options: MirrorOptions = {},
): StoreMirror {
  return new StoreMirror(from, to, ledger, options)
}

/** One run of a mirror. */
export class StoreMirror implements AsyncIterable<CopyOutcome | GoneObject> {
  readonly #from: Repository
  readonly #gone = {accepted: 0, maintenance: 0, unexplained: 0}
  readonly #ledger: MirrorLedger
  readonly #options: MirrorOptions
  #summary: MirrorSummary | undefined
  readonly #to: Repository

  constructor(from: Repository, to: Repository, ledger: MirrorLedger, options: MirrorOptions = {}) {
    this.#from = from
    this.#ledger = ledger
    this.#options = options
    this.#to = to
  }

  get summary(): MirrorSummary {
    if (!this.#summary) throw new TypeError('the mirror has not been read to its end')
    return this.#summary
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CopyOutcome | GoneObject> {
    const {signal} = this.#options
    const store = await openStore(this.#from, {signal})
    const {repositoryId} = await store.configuration({signal})
    const {lastComplete, skipped} = this.#ledger
    await this.#ledger.begin({from: this.#from.location, storeId: formatUuid(repositoryId), to: this.#to.location})
    try {
      const copy = copyStore(this.#from, this.#to, this.#options)
      for await (const outcome of copy) {
        await this.#ledger.note(outcome)
        yield outcome
      }

      yield* this.#look(copy.sourceMacs)
      const {summary} = copy
      const exitCode = copyExitCode(summary) || (this.#gone.unexplained > 0 ? EXIT.damage : EXIT.done)
      const {bytes, complete, counts} = summary
      await this.#ledger.end({
        bytes,
        complete,
        copied: counts.copied,
        exitCode,
        failed: counts.failed,
        gone: this.#gone,
      })
      this.#summary = {
        ...summary,
        exitCode,
        gone: this.#gone,
        lastComplete,
        run: this.#ledger.runs,
        skippedLines: skipped,
      }
    } catch (error) {
      const {code} = errorToJson(error)
      const exitCode = code === 'UNEXPECTED' ? EXIT.unexpected : EXIT_CODES[code]
      // A disk that is full is told by the first error, not by this one.
      await this.#ledger.end({code, complete: false, exitCode}).catch(() => {})
      throw error
    }
  }

  async #isThere(tag: string): Promise<boolean> {
    try {
      await this.#from.manifests.resolve(tag, {signal: this.#options.signal})
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }

  /** What the ledger knows of and the source does not list any more. */
  async *#look(listed: ReturnType<typeof copyStore>['sourceMacs']): AsyncGenerator<GoneObject> {
    const {acceptGone = false, secret, signal} = this.#options
    const explanations = new Explanations(this.#from, {secret, signal})
    for (const resource of ['packfile', 'state'] as const) {
      for (const mac of this.#ledger.seen[resource]) {
        const tag = tagOf(resource, mac)
        if (listed[resource].has(mac) || this.#ledger.isSettled(tag) || (await this.#isThere(tag))) continue
        const isMaintenance = resource === 'packfile' && (await explanations.isDeleted(mac))
        const unexplained = acceptGone ? 'accepted' : 'unexplained'
        const reason = isMaintenance ? 'maintenance' : unexplained
        this.#gone[reason] += 1
        await this.#ledger.noteGone(tag, {reason, settled: reason !== 'unexplained'})
        yield {mac, reason, resource, status: 'gone', tag}
      }
    }
  }
}
