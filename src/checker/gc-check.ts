import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {Clock} from '../util/clock.js'

import {hasCode} from '../errors.js'
import {type Secret} from '../kloset/codec/secret.js'
import {type Configuration, hashingOf, macKeyOf} from '../kloset/configuration.js'
import {CONFIG_TAG} from '../kloset/resource.js'
import {DEFAULT_CONCURRENCY} from '../kloset/store.js'
import {canListBlobs, canListManifests} from '../registry/interfaces.js'
import {andMore} from '../util/and-more.js'
import {systemClock} from '../util/clock.js'
import {checkBlobs} from './blob-check.js'
import {ConfigBlobs} from './config-blobs.js'
import {checkConfig, type ConfigResult} from './config-check.js'
import {judgeListedConfig} from './config-list.js'
import {ContentKeys} from './content-keys.js'
import {detailsOf} from './context.js'
import {codecOf} from './decoder.js'
import {Failures, finding} from './failures.js'
import {type Finding, isGap} from './findings.js'
import {checkLimits} from './limits.js'
import {type LockContext} from './lock-check.js'
import {checkReferences} from './reference-check.js'
import {References} from './references.js'
import {checkStorage} from './storage-check.js'
import {type CheckSummary, Tally} from './summary.js'
import {TagScan} from './tag-scan.js'

export type CheckPhase = 'recheck' | 'snapshots' | 'states' | 'storage' | 'tags'

export interface CheckProgress {
  /** Bytes downloaded. */
  readonly bytes: number
  /** Tags, or items of the storage, looked at in this phase. */
  readonly done: number
  readonly phase: CheckPhase
}

export interface GcCheckOptions extends CallOptions {
  readonly clock?: Clock | undefined
  /** Requests at the same time. Default 16. */
  readonly concurrency?: number | undefined
  /** Download everything: digests, envelopes, and MACs where the key is known. */
  readonly deep?: boolean | undefined
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined
  /** Go through all snapshots, for what of the packfiles they need: unreachable and duplicate blobs. Default false. */
  readonly references?: boolean | undefined
  /** Of an encrypted store: without it its MACs, locks and states cannot be read. */
  readonly secret?: Secret | undefined
  /** Read every state, for packfiles that they know and that have no tag. Default true. */
  readonly states?: boolean | undefined
}

const CONFIG = {resource: 'config', tag: CONFIG_TAG} as const

/**
 * Looks at everything that a store has in a repository, and changes nothing. Iterate it for the findings as they come,
 * then ask for its `summary`. Damage is a value; it throws for a repository that holds no store (`NotFoundError`), that
 * cannot be listed, that lets us in no longer, or that answers nothing any more.
 */
export function gcCheck(repository: Repository, options: GcCheckOptions = {}): GcCheck {
  return new GcCheck(repository, options)
}

/** Every finding at once, for stores that are known to be small. */
export async function collectGcCheck(
  repository: Repository,
  options: GcCheckOptions = {},
): Promise<{readonly findings: readonly Finding[]; readonly summary: CheckSummary}> {
  const check = gcCheck(repository, options)
  const findings: Finding[] = []
  for await (const found of check) findings.push(found)
  return {findings, summary: check.summary}
}

/** One check under way. */
export class GcCheck implements AsyncIterable<Finding> {
  readonly #options: GcCheckOptions
  #progress: {done: number; phase: CheckPhase} = {done: 0, phase: 'tags'}
  readonly #repository: Repository
  #summary: CheckSummary | undefined
  readonly #tally: Tally
  #unknown: Finding | undefined

  constructor(repository: Repository, options: GcCheckOptions = {}) {
    this.#options = options
    this.#repository = repository
    this.#tally = new Tally(repository.location)
  }

  /** What it came to, once the findings have been read to their end. */
  get summary(): CheckSummary {
    if (!this.#summary) throw new TypeError('the check has not been read to its end')
    return this.#summary
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Finding> {
    for await (const found of this.#run()) yield this.#tally.count(found)
    this.#summary = this.#tally.summary(this.#options.deep ?? false)
  }

  /** What snapshots need of the packfiles. */
  async *#blobs(context: LockContext, concurrency: number): AsyncGenerator<Finding> {
    const {notChecked} = this.#tally
    if (!context.codec) {
      notChecked.push('what snapshots need: the store could not be opened')
      return
    }

    yield* checkBlobs({
      ...context,
      concurrency,
      onGap: (why) => notChecked.push(why),
      onSnapshot: () => this.#report('snapshots'),
      secret: this.#options.secret,
    })
  }

  /** What the tag list and CONFIG say of each other. */
  async *#configAgainstList(config: ConfigResult, scan: TagScan, context: LockContext): AsyncGenerator<Finding> {
    const isListed = scan.table.hasTag(CONFIG_TAG)
    if (isListed) return
    const latest = config.manifest ? config : await checkConfig(context, {secret: this.#options.secret})
    yield* latest.findings.filter((found) => isGap(found)).slice(0, 1)
    const {location} = this.#repository
    const found = judgeListedConfig(latest, {isListed, location, objects: this.#tally.objects})
    if (found) yield found
  }

  /** What can be checked of this store's contents, and how. */
  async #contextFor(configuration: Configuration | undefined, context: LockContext): Promise<LockContext> {
    const {deep, secret} = this.#options
    const {notChecked} = this.#tally
    if (!configuration) {
      notChecked.push('MACs, the age of locks and what states refer to: CONFIG could not be read')
      return context
    }

    const encrypted = configuration.encryption !== undefined
    try {
      const key = await macKeyOf(configuration, secret?.bytes)
      if (key) {
        return {
          ...context,
          codec: await codecOf(configuration, secret),
          keys: ContentKeys.known(hashingOf(configuration), key, {encrypted}),
        }
      }

      const what = deep
        ? 'MACs, the age of locks and what states refer to'
        : 'the age of locks and what states refer to'
      notChecked.push(`${what}: the store is encrypted and its passphrase was not given`)
    } catch (error) {
      if (!hasCode(error, 'VERSION')) throw error
      notChecked.push(`MACs, the age of locks and what states refer to: ${error.message}`)
      this.#unknown = finding('unknown-version', error.message, detailsOf(CONFIG))
    }

    return context
  }

  /** Tags that are no store's. */
  *#others({trials: {count, first}}: TagScan): Generator<Finding> {
    if (count > 0) {
      const message = `${count} tags are of trials of this registry, cut off or under way: ${andMore(first, count)}`
      yield finding('trial-tags', message, {count})
    }

    const foreign = this.#tally.objects.foreign - count
    if (foreign > 0) {
      const message = `${foreign} tags belong to no store: they were counted and left alone`
      yield finding('foreign-tags', message, {count: foreign})
    }
  }

  #report(phase: CheckPhase): void {
    if (this.#progress.phase !== phase) this.#progress = {done: 0, phase}
    this.#progress.done += 1
    this.#options.onProgress?.({bytes: this.#tally.bytesRead, ...this.#progress})
  }

  async *#run(): AsyncGenerator<Finding> {
    const {
      clock = systemClock,
      concurrency = DEFAULT_CONCURRENCY,
      deep = false,
      secret,
      signal,
      states: useStates = true,
    } = this.#options
    const repository = this.#repository
    const base: LockContext = {
      deep,
      failures: new Failures(),
      keys: ContentKeys.unknown(),
      now: clock.now(),
      onBytes: (count) => {
        this.#tally.bytesRead += count
      },
      repository,
      signal,
    }
    const config = await checkConfig(base, {secret})
    const context = await this.#contextFor(config.configuration, base)
    if (this.#unknown) yield this.#unknown
    const configBlobs = new ConfigBlobs()
    const references = new References({enabled: canListManifests(repository) || canListBlobs(repository)})
    const scan = new TagScan({
      concurrency,
      config,
      configBlobs,
      context,
      onTag: (phase) => this.#report(phase),
      references,
      secret,
      tally: this.#tally,
    })
    yield* scan.first()
    yield* scan.rounds()
    yield* this.#configAgainstList(config, scan, context)
    yield* configBlobs.check(context)
    if (context.codec && useStates) {
      yield* checkReferences({
        ...context,
        codec: context.codec,
        concurrency,
        onState: () => this.#report('states'),
        scan,
      })
    }

    if (this.#options.references) yield* this.#blobs(context, concurrency)
    yield* this.#storage({...context, references, scan})
    yield* this.#others(scan)
    yield* checkLimits(this.#tally)
  }

  async *#storage(context: LockContext & {references: References; scan: TagScan}): AsyncGenerator<Finding> {
    if (!context.references.areKept) {
      this.#tally.notChecked.push('untagged manifests and unreferenced blobs: a registry does not list them')
      return
    }

    if (this.#tally.hasGap) {
      this.#tally.notChecked.push('untagged manifests and unreferenced blobs: some tags could not be read')
      return
    }

    yield* checkStorage({...context, onItem: () => this.#report('storage'), table: context.scan.table})
  }
}
