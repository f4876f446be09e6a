import type {Secret} from '../kloset/codec/secret.js'
import type {Digest} from '../registry/digest.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {Clock} from '../util/clock.js'

import {type CheckProgress, type Finding, type FindingKind, gcCheck, isGap, LockReader} from '../checker/index.js'
import {GRACE_MS} from '../checker/reference-check.js'
import {hasCode, isNotFound, KlosetOciError, LockedError} from '../errors.js'
import {readObjectManifest} from '../kloset/object-manifest.js'
import {CONFIG_TAG} from '../kloset/resource.js'
import {ANNOTATION} from '../registry/media-types.js'
import {PlanBook} from './plan/book.js'
import {draft} from './plan/draft.js'
import {lookAgain} from './plan/look-again.js'
import {PLAN_SCHEMA, type RepairPlan} from './plan/types.js'
import {statesDigest} from './states-digest.js'

/** What plakar's maintenance waits, too. */
export const DEFAULT_GRACE_MS = GRACE_MS

/** More than this are left to the next run: a plan is read by a person. */
const MAX_STEPS = 100_000

export interface PruneOptions extends CallOptions {
  readonly clock?: Clock | undefined
  readonly concurrency?: number | undefined
  /** Packfiles and manifests younger than this stay. Default a week. */
  readonly graceMs?: number | undefined
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined
  readonly secret?: Secret | undefined
}

/** What could go, and what stays and why. */
export interface PrunePlan {
  /** What stays, in sentences. */
  readonly kept: readonly string[]
  /** Removes packfiles that nothing knows and locks that nobody holds, as a repair plan: applied and undone as one. */
  readonly plan: RepairPlan
  /** What no tag leads to: only a backend that owns its storage can say. */
  readonly residue: PruneResidue
  /** Bytes of the objects that the plan removes. */
  readonly size: number
}

export interface PruneResidue {
  /** Blobs that no manifest refers to. */
  readonly blobs: {readonly bytes: number; readonly count: number}
  /** Manifests of earlier locks and earlier writes of objects that have a newer one. */
  readonly manifests: readonly Digest[]
}

/** Kinds that say that a writer is, or may be, at work. */
const BUSY: ReadonlySet<FindingKind> = new Set(['changed-while-reading', 'lock-held', 'lock-unreadable'])

/**
 * Finds what nothing needs any more, and changes nothing. It refuses to plan on doubt: while anything could not be
 * listed or read, while anything is damaged, while anybody works on the store.
 * @throws LockedError when a lock is held or may be, or something changed while it was read
 * @throws KlosetOciError `PARTIAL` when not everything could be looked at, `DAMAGE` when something is wrong with the
 * store, `VERSION` when something in it is newer than this program, `UNAUTHORIZED` when the passphrase is needed
 */
export async function planPrune(repository: Repository, options: PruneOptions = {}): Promise<PrunePlan> {
  const {clock, concurrency, graceMs = DEFAULT_GRACE_MS, onProgress, secret, signal} = options
  const locks = await LockReader.open(repository, {clock, secret, signal})
  const states = await statesDigest(repository, {signal})
  const check = gcCheck(repository, {clock, concurrency, onProgress, secret, signal})
  const planner = new PrunePlanner(repository, locks, {graceMs, signal})
  for await (const finding of check) await planner.take(finding)
  planner.refuseOnDoubt(check.summary.notChecked)
  // What was read and what is planned on must be of one moment.
  if ((await statesDigest(repository, {signal})) !== states) throw busy(repository, 'states came or went meanwhile')
  return planner.finish(states)
}

class PrunePlanner {
  readonly #book = new PlanBook([])
  readonly #busy: Finding[] = []
  #coloured = 0
  #colouredUntil = ''
  #cutOff = 0
  readonly #damage: Finding[] = []
  readonly #gaps: Finding[] = []
  readonly #graceMs: number
  readonly #kept: string[] = []
  readonly #locks: LockReader
  readonly #manifests: Digest[] = []
  #notChecked: readonly string[] = []
  /** The earlier one of the clocks: by it everything is younger. */
  readonly #now: number
  readonly #repository: Repository
  readonly #residue = {bytes: 0, count: 0}
  readonly #signal: AbortSignal | undefined
  #size = 0
  #steps = 0
  #unknownVersions = 0
  #untaggedObjects = 0
  #young = 0

  constructor(
    repository: Repository,
    locks: LockReader,
    {graceMs, signal}: {readonly graceMs: number; readonly signal: AbortSignal | undefined},
  ) {
    const {local, registry = local} = locks.clocks
    this.#graceMs = graceMs
    this.#locks = locks
    this.#now = Math.min(local, registry)
    this.#repository = repository
    this.#signal = signal
  }

  async finish(states: string): Promise<PrunePlan> {
    await this.#book.rely(this.#repository, CONFIG_TAG, this.#signal)
    this.#explain()
    const {notes, relies, sources, unfixable} = this.#book
    const plan: RepairPlan = {
      // On anything less nothing is pruned.
      complete: true,
      created: new Date(this.#now).toISOString(),
      notChecked: this.#notChecked,
      notes: [...notes, ...this.#kept],
      partial: false,
      relies,
      schema: PLAN_SCHEMA,
      sources,
      states,
      steps: this.#book.steps(),
      store: this.#repository.location,
      unfixable,
    }
    return {
      kept: this.#kept,
      plan,
      residue: {blobs: this.#residue, manifests: this.#manifests},
      size: this.#size,
    }
  }

  refuseOnDoubt(notChecked: readonly string[]): void {
    const {location} = this.#repository
    this.#notChecked = notChecked
    if (this.#gaps.length > 0) {
      throw new KlosetOciError('PARTIAL', `${location}: not everything could be looked at: nothing is pruned`, {
        facts: {first: this.#gaps[0]!.message, gaps: this.#gaps.length},
        suggestions: ['Run `gc-check`; prune when it can look at everything.'],
      })
    }

    const passphrase = notChecked.find((text) => text.includes('passphrase'))
    if (passphrase !== undefined) {
      throw new KlosetOciError('UNAUTHORIZED', `${location}: is encrypted: what its states know needs its passphrase`, {
        suggestions: ['Give --passphrase-file FILE, or set PLAKAR_PASSPHRASE.'],
      })
    }

    if (this.#unknownVersions > 0) {
      throw new KlosetOciError('VERSION', `${location}: holds something of an unknown version: nothing is pruned`, {
        suggestions: ['Update kloset-oci: the store was written by a newer plakar, perhaps.'],
      })
    }

    if (this.#damage.length > 0) {
      throw new KlosetOciError('DAMAGE', `${location}: is damaged: what a repair may need is not pruned`, {
        facts: {errors: this.#damage.length, first: this.#damage[0]!.message},
        suggestions: ['Run `gc-check`, then `repair plan`; prune when the store is whole.'],
      })
    }

    if (this.#busy.length > 0) throw busy(this.#repository, this.#busy[0]!.message, this.#busy.length)
    // Whatever else was not looked at: states that were not read may know everything.
    const unread = notChecked.find((text) => text.includes('states'))
    if (unread !== undefined) {
      throw new KlosetOciError('PARTIAL', `${location}: not everything could be looked at: ${unread}`)
    }
  }

  async take(found: Finding): Promise<void> {
    const {digest, kind, object, severity} = found
    if (isGap(found)) this.#gaps.push(found)
    else if (severity === 'error') this.#damage.push(found)
    else if (BUSY.has(kind)) this.#busy.push(found)
    else
      switch (kind) {
        case 'lock-stale': {
          await this.#takeLock(found)
          break
        }

        case 'packfile-coloured': {
          this.#noteColoured(found)
          break
        }

        case 'packfile-unknown': {
          await this.#takePackfile(found)
          break
        }

        case 'removal-cut-off': {
          this.#cutOff++
          break
        }

        case 'unknown-version': {
          this.#unknownVersions++
          break
        }

        case 'untagged-object': {
          this.#untaggedObjects++
          break
        }

        default: {
          if (kind === 'untagged-manifest' && object && digest) await this.#takeManifest(digest)
          else if (kind === 'unreferenced-blob') {
            this.#residue.count++
            this.#residue.bytes += typeof found.found === 'number' ? found.found : 0
          }
        }
      }
  }

  async #add(found: Finding): Promise<void> {
    const {object, tag} = found
    if (object === undefined || tag === undefined || object.resource === 'config') return
    if (this.#steps >= MAX_STEPS) return
    this.#steps++
    const {mac, resource} = object
    await this.#book.rely(this.#repository, tag, this.#signal)
    const action = {kind: 'remove-tag'} as const
    this.#book.add(draft({mac, resource, tag}, action, {sources: [], why: [found]}))
  }

  #context() {
    return {book: this.#book, reader: this.#locks, repository: this.#repository, signal: this.#signal}
  }

  #explain(): void {
    if (this.#young > 0) {
      const days = Math.round(this.#graceMs / 86_400_000)
      this.#kept.push(
        `${this.#young} packfiles that no state knows are younger than ${days} days, or their age is not known: they stay`,
      )
    }

    if (this.#coloured > 0) {
      this.#kept.push(
        `${this.#coloured} packfiles are deleted (coloured) and wait for \`plakar maintenance\`, which frees them and tells the states, the last of them from ${this.#colouredUntil} on: they stay`,
      )
    }

    if (this.#cutOff > 0) {
      this.#kept.push(`${this.#cutOff} removals were cut off: \`repair plan\` finishes them, whatever their age`)
    }

    if (this.#untaggedObjects > 0) {
      this.#kept.push(`${this.#untaggedObjects} manifests hold objects that no tag has: they stay, see \`repair plan\``)
    }

    if (this.#steps >= MAX_STEPS) this.#kept.push(`more than ${MAX_STEPS} objects: the rest is for the next run`)
  }

  #isOld(written: number): boolean {
    return written + this.#graceMs <= this.#now
  }

  /** When a manifest says it was written, and how many bytes its object has. */
  async #look(reference: string): Promise<undefined | {readonly size: number; readonly written: number | undefined}> {
    try {
      const {annotations, size} = readObjectManifest(
        await this.#repository.manifests.get(reference, {signal: this.#signal}),
        reference,
      )
      const written = Date.parse(annotations[ANNOTATION.created] ?? '')
      return {size: Math.max(0, size), written: Number.isNaN(written) ? undefined : written}
    } catch (error) {
      if (isNotFound(error) || hasCode(error, 'STORE_FORMAT')) return undefined
      throw error
    }
  }

  #noteColoured({found}: Finding): void {
    this.#coloured++
    if (typeof found === 'string' && found > this.#colouredUntil) this.#colouredUntil = found
  }

  async #takeLock(found: Finding): Promise<void> {
    const mac = found.object?.mac
    const again = mac && (await lookAgain(mac, this.#context()))
    if (again?.look?.state === 'stale' && again.isRelied) await this.#add(found)
    else this.#busy.push(found)
  }

  /** Earlier locks and writes: what they held, a newer one holds. Those without a time are the official plugin's locks. */
  async #takeManifest(digest: Digest): Promise<void> {
    const look = await this.#look(digest)
    if (look && (look.written === undefined || this.#isOld(look.written))) this.#manifests.push(digest)
  }

  async #takePackfile(found: Finding): Promise<void> {
    const {found: footer, tag} = found
    const sealed = typeof footer === 'string' ? Date.parse(footer) : Number.NaN
    const look = tag === undefined ? undefined : await this.#look(tag)
    // By its own footer and, where it says so, by its manifest: a copy is as young as it was made.
    if (!look || !this.#isOld(sealed) || (look.written !== undefined && !this.#isOld(look.written))) {
      this.#young++
      return
    }

    this.#size += look.size
    const message = `${found.message}; written ${String(footer)}`
    await this.#add({...found, message})
  }
}

function busy({location}: Repository, why: string, count = 1): LockedError {
  return new LockedError(`${location}: somebody works on the store, or may: nothing is pruned`, {
    facts: {count, first: why},
    suggestions: ['Look with `locks ls`, and prune when nobody does.'],
  })
}
