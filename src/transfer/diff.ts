import {setMaxListeners} from 'node:events'
import {pMapIterable} from 'p-map'

import type {Mac} from '../kloset/mac.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'

import {hasCode, isNotFound, KlosetOciError, messageOf, NotFoundError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {formatUuid} from '../kloset/configuration.js'
import {CONFIG_TAG, type Resource, type ResourceName, tagOf} from '../kloset/resource.js'
import {DEFAULT_CONCURRENCY, KlosetStore} from '../kloset/store.js'
import {listStore, objectCount, type StoreListing} from './listing.js'
import {mergeMacs, type Sides} from './mac-set.js'
import {compareObjects, type ObjectDifference} from './object-diff.js'

export interface DiffOptions extends CallOptions {
  /** Objects compared at the same time. Default 16. */
  readonly concurrency?: number | undefined
  /** Read every byte of both sides, and check it against its digest. */
  readonly deep?: boolean | undefined
  readonly onProgress?: ((progress: {readonly done: number; readonly total: number}) => void) | undefined
  /** What to compare besides CONFIG. Default packfiles and states: locks come and go. */
  readonly resources?: readonly Resource[] | undefined
}

/** One object about which the two stores do not agree. */
export interface DiffEntry extends Partial<ObjectDifference> {
  readonly kind: 'differs' | 'only-left' | 'only-right' | 'unreachable'
  readonly mac?: Mac | undefined
  readonly resource: ResourceName
  readonly tag: string
}

export interface DiffSummary {
  readonly counts: {
    readonly differs: number
    readonly onlyLeft: number
    readonly onlyRight: number
    /** Objects with the same content and other manifests: no difference to any reader. */
    readonly rewrapped: number
    readonly same: number
    /** Objects that could not be compared. */
    readonly unreachable: number
  }
  readonly deep: boolean
  /** Tags of no store: not compared. */
  readonly foreign: {readonly left: number; readonly right: number}
  readonly verdict: 'different' | 'equal' | 'incomplete' | 'partial'
}

/** The identity of the two stores, known before anything else is compared. */
export interface DiffIdentity {
  /** Undefined when its CONFIG cannot be read. */
  readonly left: string | undefined
  readonly right: string | undefined
  readonly sameStore: boolean
}

const DEFAULT_RESOURCES: readonly Resource[] = ['packfile', 'state']

/** Failures one after another after which a side is taken to be down. */
const MAX_FAILURES_IN_A_ROW = 16

/**
 * Compares two stores object by object. Ask for the `identity` first, iterate it for what differs, then ask for the
 * `summary`. In memory are 36 bytes for each tag of each side.
 * @throws NotFoundError where one of the two is no store; what makes a list incomplete; what lets us in no longer
 */
export function diffStores(left: Repository, right: Repository, options: DiffOptions = {}): StoreDiff {
  return new StoreDiff(left, right, options)
}

/** One comparison under way. */
export class StoreDiff implements AsyncIterable<DiffEntry> {
  readonly #counts = {differs: 0, onlyLeft: 0, onlyRight: 0, rewrapped: 0, same: 0, unreachable: 0}
  #inARow = 0
  readonly #left: Repository
  #listings: undefined | {readonly left: StoreListing; readonly right: StoreListing}
  readonly #options: DiffOptions
  readonly #right: Repository

  constructor(left: Repository, right: Repository, options: DiffOptions = {}) {
    this.#left = left
    this.#options = options
    this.#right = right
  }

  get #resources(): readonly Resource[] {
    return this.#options.resources ?? DEFAULT_RESOURCES
  }

  get summary(): DiffSummary {
    if (!this.#listings) throw new TypeError('the comparison has not been read to its end')
    const {left, right} = this.#listings
    const {differs, onlyLeft, onlyRight, unreachable} = this.#counts
    const isPartial = onlyLeft + onlyRight > 0
    const rest = isPartial ? 'partial' : 'equal'
    return {
      counts: this.#counts,
      deep: this.#options.deep ?? false,
      foreign: {left: left.foreign, right: right.foreign},
      verdict: differs > 0 ? 'different' : unreachable > 0 ? 'incomplete' : rest,
    }
  }

  /** Which stores they are. */
  async identity(): Promise<DiffIdentity> {
    const {signal} = this.#options
    const [left, right] = await Promise.all([idOf(this.#left, signal), idOf(this.#right, signal)])
    return {left, right, sameStore: left !== undefined && left === right}
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DiffEntry> {
    const {signal: outer} = this.#options
    const stop = new AbortController()
    const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal
    setMaxListeners(0, signal)
    try {
      yield* this.#run(signal)
    } finally {
      stop.abort()
    }
  }

  async #compare(subject: Omit<DiffEntry, 'kind'>, signal: AbortSignal): Promise<DiffEntry | undefined> {
    const {deep = false} = this.#options
    try {
      const difference = await compareObjects(subject.tag, [this.#left, this.#right], {deep, signal})
      this.#inARow = 0
      if (difference === 'same' || difference === 'rewrapped') {
        this.#counts[difference] += 1
        return undefined
      }

      this.#counts.differs += 1
      return {...subject, ...difference, kind: 'differs'}
    } catch (error) {
      const isPassing = error instanceof KlosetOciError && PASSING.has(error.code)
      if (!isPassing || signal.aborted || ++this.#inARow >= MAX_FAILURES_IN_A_ROW) throw error
      this.#counts.unreachable += 1
      return {...subject, kind: 'unreachable', message: messageOf(error)}
    }
  }

  async #list(signal: AbortSignal) {
    const [left, right] = await Promise.all([listStore(this.#left, {signal}), listStore(this.#right, {signal})])
    for (const [listing, {location}] of [[left, this.#left] as const, [right, this.#right] as const]) {
      if (listing.config || objectCount(listing) > 0) continue
      throw new NotFoundError(`${location}: no store here`, {suggestions: ['Check the reference.']})
    }

    return {left, right}
  }

  #only(subject: Omit<DiffEntry, 'kind'>, side: 'left' | 'right'): DiffEntry {
    this.#counts[side === 'left' ? 'onlyLeft' : 'onlyRight'] += 1
    return {...subject, kind: side === 'left' ? 'only-left' : 'only-right'}
  }

  async *#run(signal: AbortSignal): AsyncGenerator<DiffEntry> {
    const {concurrency = DEFAULT_CONCURRENCY, onProgress} = this.#options
    const listings = await this.#list(signal)
    const total = totalOf(listings.left, this.#resources) + totalOf(listings.right, this.#resources)
    let done = 0
    const look = async ([subject, side]: readonly [Omit<DiffEntry, 'kind'>, Sides]) => {
      const entry = side === 'both' ? await this.#compare(subject, signal) : this.#only(subject, side)
      done += side === 'both' ? 2 : 1
      onProgress?.({done, total})
      return entry
    }

    const entries = pMapIterable(subjects(listings, this.#resources), look, {
      backpressure: concurrency * 4,
      concurrency,
    })
    for await (const entry of entries) if (entry) yield entry
    this.#listings = listings
  }
}

const PASSING: ReadonlySet<string> = new Set(['PROTOCOL', 'RATE_LIMITED', 'REGISTRY', 'UNREACHABLE', 'UNSUPPORTED'])

/** 65 when an object differs, 69 when one could not be compared, 75 when only one side has some, 0 when they are equal. */
export function diffExitCode({verdict}: DiffSummary): number {
  const codes = {different: EXIT.damage, equal: EXIT.done, incomplete: EXIT.unavailable, partial: EXIT.partial} as const
  return codes[verdict]
}

async function idOf(repository: Repository, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const {repositoryId} = await new KlosetStore(repository).configuration({signal})
    return formatUuid(repositoryId)
  } catch (error) {
    const isUnreadable = ['DAMAGE', 'INTEGRITY', 'STORE_FORMAT', 'VERSION'].some((code) =>
      hasCode(error, code as 'DAMAGE'),
    )
    if (isNotFound(error) || isUnreadable) return undefined
    throw error
  }
}

function totalOf({config, macs}: StoreListing, resources: readonly Resource[]): number {
  let total = config ? 1 : 0
  for (const resource of resources) total += macs[resource].size
  return total
}

/** Every object of either side, in order. */
function* subjects(
  {left, right}: {readonly left: StoreListing; readonly right: StoreListing},
  resources: readonly Resource[],
): Generator<readonly [Omit<DiffEntry, 'kind'>, Sides]> {
  if (left.config || right.config) {
    const one = left.config ? 'left' : 'right'
    yield [{resource: 'config', tag: CONFIG_TAG}, left.config && right.config ? 'both' : one]
  }

  for (const resource of resources) {
    for (const [mac, side] of mergeMacs(left.macs[resource], right.macs[resource])) {
      yield [{mac, resource, tag: tagOf(resource, mac)}, side]
    }
  }
}
