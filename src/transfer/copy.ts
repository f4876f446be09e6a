import {setMaxListeners} from 'node:events'
import {pMapIterable} from 'p-map'

import type {Secret} from '../kloset/codec/secret.js'
import type {Mac} from '../kloset/mac.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {Clock} from '../util/clock.js'
import type {MacSet} from './mac-set.js'

import {InvalidArgumentError} from '../errors.js'
import {hashingOf, macKeyOf} from '../kloset/configuration.js'
import {CONFIG_TAG, type Resource, tagOf} from '../kloset/resource.js'
import {DEFAULT_CONCURRENCY} from '../kloset/store.js'
import {systemClock} from '../util/clock.js'
import {checkTarget, readSourceConfiguration, type SourceConfiguration} from './config-gate.js'
import {emptyListing, listStore, type StoreListing} from './listing.js'
import {MacChecks} from './mac-check.js'
import {ObjectCopier, type ObjectCopierOptions} from './object-copier.js'
import {ObjectLook} from './object-look.js'
import {CopyFailures, type CopyOutcome, type CopySubject} from './outcome.js'
import {type CopySummary, CopyTally} from './summary.js'

export type CopyPhase = 'listing' | 'locks' | 'packfiles' | 'states'

export interface CopyProgress {
  /** Bytes that have come from the source so far. */
  readonly bytes: number
  readonly done: number
  readonly phase: CopyPhase
  /** Objects of this phase; undefined while they are being listed. */
  readonly total: number | undefined
}

export interface CopyOptions extends CallOptions {
  readonly clock?: Clock | undefined
  /** Objects on their way at the same time. Default 16. */
  readonly concurrency?: number | undefined
  /** Look, and write nothing. */
  readonly dryRun?: boolean | undefined
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined
  /** Replace packfiles and states that the target has with other content. Default false: such an object is a failure. */
  readonly overwrite?: boolean | undefined
  /** Believe the target's tags: do not ask whether the content of each is still there. Default false. */
  readonly quick?: boolean | undefined
  /** What to copy besides CONFIG. Default packfiles and states; locks are never copied unless named here. */
  readonly resources?: readonly Resource[] | undefined
  /** Of an encrypted store, for `verify: 'mac'`. */
  readonly secret?: Secret | undefined
  /** `digest` (default): size and digest of every byte that passes. `mac`: the envelope's MAC and the packfile's name too. */
  readonly verify?: 'digest' | 'mac' | undefined
}

const DEFAULT_RESOURCES: readonly Resource[] = ['packfile', 'state']
const CONFIG: CopySubject = {mac: undefined, resource: 'config', tag: CONFIG_TAG}

/**
 * Copies a store into another repository, in an order that leaves the target a sound store at any moment: CONFIG, then
 * packfiles, then states (those that were listed before the packfiles were), then locks when asked for. What is there is
 * left alone, so that a copy that was interrupted is simply run again.
 *
 * Iterate it for what became of each object, then ask for its `summary`. A bad object is a value; it throws when the
 * target is not for this store, and when nothing can be listed, read or written any more.
 * @param to undefined in a dry run for a target that does not exist yet
 * @throws InvalidArgumentError | AlreadyExistsError | NotFoundError and others, while it is iterated
 */
export function copyStore(from: Repository, to: Repository | undefined, options: CopyOptions = {}): StoreCopy {
  return new StoreCopy(from, to, options)
}

/** One copy under way. */
export class StoreCopy implements AsyncIterable<CopyOutcome> {
  readonly #failures = new CopyFailures()
  readonly #from: Repository
  readonly #gone: CopyOutcome[] = []
  readonly #options: CopyOptions
  #progress: {done: number; phase: CopyPhase; total: number | undefined} = {done: 0, phase: 'listing', total: undefined}
  #received = 0
  readonly #running = new Set<Promise<unknown>>()
  readonly #tally = new CopyTally()
  readonly #to: Repository | undefined

  constructor(from: Repository, to: Repository | undefined, options: CopyOptions = {}) {
    this.#from = from
    this.#options = options
    this.#to = to
  }

  /** What the source lists, known once it has been read to its end. */
  get sourceMacs(): Readonly<Record<Resource, MacSet>> {
    return this.#tally.sourceMacs
  }

  /** What it came to, once it has been read to its end. */
  get summary(): CopySummary {
    return this.#tally.summary()
  }

  /** Locks that lay at the target when it began. */
  get targetLocks(): number {
    return this.#tally.targetLocks
  }

  /** What the target holds and the source does not, known once it has been read to its end. */
  get targetOnly(): Readonly<Record<Resource, MacSet>> {
    return this.#tally.targetOnly
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CopyOutcome> {
    const {signal: outer} = this.#options
    const stop = new AbortController()
    const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal
    setMaxListeners(0, signal)
    try {
      for await (const outcome of this.#run(signal)) yield this.#tally.count(outcome)
      this.#tally.end()
    } finally {
      stop.abort()
      await Promise.allSettled(this.#running)
    }
  }

  /** Something that goes on beside other work: its failure is told where it is waited for, and the end waits for it. */
  #begin<T>(work: Promise<T> | T): Promise<T> {
    const pending = Promise.resolve(work)
    this.#running.add(pending)
    pending.then(
      () => this.#running.delete(pending),
      () => this.#running.delete(pending),
    )
    return pending
  }

  async #checks({configuration}: SourceConfiguration): Promise<MacChecks | undefined> {
    const {secret, verify = 'digest'} = this.#options
    if (verify === 'digest') return undefined
    const encrypted = configuration.encryption !== undefined
    const key = await macKeyOf(configuration, secret?.bytes)
    if (key) return new MacChecks(hashingOf(configuration), key, {encrypted})
    throw new InvalidArgumentError('the store is encrypted: its MACs cannot be checked without its passphrase', {
      suggestions: ['Give --passphrase-file FILE, or set PLAKAR_PASSPHRASE.', 'Digests are checked without it.'],
    })
  }

  #copier(
    options: Omit<ObjectCopierOptions, 'clock' | 'from' | 'mountFrom' | 'onBytes' | 'to'>,
  ): ObjectCopier | undefined {
    const {clock = systemClock} = this.#options
    if (!this.#to) return undefined
    return new ObjectCopier({
      ...options,
      clock,
      from: this.#from,
      mountFrom: mountSource(this.#from.location, this.#to.location),
      onBytes: (count) => {
        this.#received += count
      },
      to: this.#to,
    })
  }

  async *#objects(look: ObjectLook, resource: Resource, macs: MacSet, there: MacSet): AsyncGenerator<CopyOutcome> {
    const {concurrency = DEFAULT_CONCURRENCY} = this.#options
    const bring = async (mac: Mac) => {
      const subject = {mac, resource, tag: tagOf(resource, mac)}
      return this.#begin(look.bring(subject, {isThere: there.has(mac)}))
    }

    this.#report(`${resource}s`, macs.size)
    const outcomes = pMapIterable(macs, bring, {backpressure: concurrency * 4, concurrency})
    for await (const outcome of outcomes) {
      this.#report(`${resource}s`)
      // Whether it was removed or its manifest is lost, another list tells at the end.
      if (outcome.status === 'vanished') this.#gone.push(outcome)
      else yield outcome
    }
  }

  #report(phase: CopyPhase, total?: number): void {
    if (total === undefined) this.#progress.done += 1
    else this.#progress = {done: 0, phase, total}
    this.#options.onProgress?.({bytes: this.#received, ...this.#progress})
  }

  async *#run(signal: AbortSignal): AsyncGenerator<CopyOutcome> {
    const [from, to] = [this.#from, this.#to]
    if (from.location === to?.location) throw new InvalidArgumentError(`${from.location}: cannot be copied onto itself`)
    const {dryRun = false, overwrite = false, quick = false, resources = DEFAULT_RESOURCES} = this.#options
    const onTag = (done: number) => this.#options.onProgress?.({bytes: 0, done, phase: 'listing', total: undefined})
    // States that are listed before the packfiles are: whatever they need was there by then.
    const earlier = this.#begin(listStore(from, {onTag, signal}))
    const later = this.#begin(earlier.then(async () => listStore(from, {onTag, signal})))
    const reading = {
      listing: this.#begin(to ? listStore(to, {signal}) : emptyListing()),
      source: this.#begin(readSourceConfiguration(from, {signal})),
    }
    const checking = this.#begin(to ? checkTarget(to, reading, {signal}) : ('absent' as const))
    const source = await reading.source
    const checks = await this.#checks(source)
    const [early, latest, there] = await Promise.all([earlier, later, reading.listing])
    const isThere = (await checking) !== 'absent'
    this.#tally.begin({dryRun, latest, resources, source, there})
    const copier = dryRun ? undefined : this.#copier({checks, ready: async (): Promise<void> => configured, signal})
    const look = new ObjectLook({copier, failures: this.#failures, from, overwrite, quick, signal, to})
    const bringing = this.#begin(look.bring(CONFIG, {isThere}))
    const configured = this.#begin(requireBrought(bringing, look))
    // Their content comes meanwhile; their tags wait for it.
    const packfiles = this.#objects(look, 'packfile', latest.macs.packfile, there.macs.packfile)
    const first = resources.includes('packfile') ? this.#begin(packfiles.next()) : undefined
    yield await bringing
    // Without it nothing that follows could be read.
    await configured
    if (first) {
      for (let next = await first; !next.done; next = await packfiles.next()) yield next.value
    }

    if (resources.includes('state')) yield* this.#states(look, {early, latest, there})
    if (resources.includes('lock')) yield* this.#objects(look, 'lock', latest.macs.lock, there.macs.lock)
    yield* this.#vanished(signal)
  }

  /** States come only where everything that they may point at has come: they are what makes packfiles visible. */
  async *#states(
    look: ObjectLook,
    {early, latest, there}: Readonly<Record<'early' | 'latest' | 'there', StoreListing>>,
  ): AsyncGenerator<CopyOutcome> {
    const {packfilesMissing} = this.#tally
    const {resources = DEFAULT_RESOURCES} = this.#options
    let missing = packfilesMissing
    if (!resources.includes('packfile')) {
      for (const mac of latest.macs.packfile) if (!there.macs.packfile.has(mac)) missing += 1
    }

    const {state: states} = early.macs
    if (missing === 0) {
      yield* this.#objects(look, 'state', states, there.macs.state)
      return
    }

    const note = `${missing} packfiles could not be copied: run it again`
    for (const mac of states) {
      if (there.macs.state.has(mac)) continue
      yield {bytes: 0, mac, note, resource: 'state', status: 'held-back', tag: tagOf('state', mac)}
    }
  }

  /** Tags that led to nothing: what is still listed has lost its manifest. */
  async *#vanished(signal: AbortSignal): AsyncGenerator<CopyOutcome> {
    if (this.#gone.length === 0) return
    const {macs} = await listStore(this.#from, {signal})
    for (const {failure, ...outcome} of this.#gone) {
      const isListed =
        outcome.resource !== 'config' && outcome.mac !== undefined && macs[outcome.resource].has(outcome.mac)
      yield isListed ? {...outcome, failure, status: 'failed'} : outcome
    }
  }
}

/** @throws what the configuration failed with */
async function requireBrought(bringing: Promise<CopyOutcome>, look: ObjectLook): Promise<void> {
  const outcome = await bringing
  if (outcome.failure) throw look.lastError(outcome)
}

/** The repository from which blobs may be mounted: the source's, when both lie in one registry. */
export function mountSource(from: string, to: string): string | undefined {
  const [source, target] = [from, to].map((location) => /^oci:\/\/([^/]+)\/(.+)$/.exec(location))
  return source && target && source[1] === target[1] ? source[2] : undefined
}
