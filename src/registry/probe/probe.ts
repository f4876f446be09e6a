import type {Digest} from '../digest.js'
import type {Repository} from '../interfaces.js'
import type {RemoteContext} from '../remote/context.js'

import {hasCode} from '../../errors.js'
import {type Clock, systemClock} from '../../util/clock.js'
import {probeDeletes} from './deleting.js'
import {probeLeftovers} from './leftovers.js'
import {probeApi, probeClock, probeLimits, probePaging, probePull, probeReferrers} from './reaching.js'
import {failed, ok, type ProbeName, type ProbeResult, PROBES, skip, warn} from './result.js'
import {type Leftovers, type ProbeBlob, ProbeSubject, randomTag} from './subject.js'
import {probeChunked, probeManifest, probeMutability, probePush, probeRange, probeUntagged} from './writing.js'

export {type ProbeName, type ProbeResult, PROBES, type ProbeStatus} from './result.js'

export interface ProbeOptions {
  readonly clock?: Clock | undefined
  /** Told of each result as soon as it is known. */
  readonly onResult?: ((result: ProbeResult) => void) | undefined
  /** Writes nothing: what only writing can tell is skipped. */
  readonly readOnly?: boolean | undefined
  /** Removes what earlier trials have left. By default it is only told of. */
  readonly removeLeftovers?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** The caller knows the login, and clearing up is told last. */
const TOLD_ELSEWHERE: ReadonlySet<ProbeName> = new Set(['cleanup', 'credential'])

/** Clearing up takes this long at most, after an interruption too. */
const CLEANUP_MS = 30_000

/**
 * Finds out what a repository does by doing it, with objects of its own that it removes again, whatever happens in
 * between. Every failure is a result.
 * @param context of the registry behind the repository; none for a directory
 * @returns one result for each of `PROBES`, in the order in which they were known
 * @throws InterruptedError after everything was cleared up
 */
export async function probeRepository(
  repository: Repository,
  context: RemoteContext | undefined,
  options: ProbeOptions = {},
): Promise<readonly ProbeResult[]> {
  const {clock = systemClock, onResult, readOnly = false, removeLeftovers = false, signal} = options
  const subject = new ProbeSubject({clock, context, repository, signal})
  const run = new ProbeRun(subject, onResult)
  let left: Leftovers
  try {
    const reached = await run.reading()
    if (reached && !readOnly) await run.writing()
    if (reached) {
      await run.step('referrers', async () => probeReferrers(subject))
      await run.step('leftovers', async () => probeLeftovers(subject, {remove: removeLeftovers && !readOnly}))
    }
  } finally {
    left = await subject.removeAll(AbortSignal.timeout(CLEANUP_MS))
  }

  const {hasWritten} = run
  run.skipOthers(readOnly ? 'not looked at: read-only' : 'not looked at, since something before it failed')
  run.tell(hasWritten ? cleanupResult(left) : ok('cleanup', 'nothing was written'))
  return run.results
}

class ProbeRun {
  readonly results: ProbeResult[] = []
  readonly #onResult: ((result: ProbeResult) => void) | undefined
  readonly #subject: ProbeSubject

  constructor(subject: ProbeSubject, onResult: ((result: ProbeResult) => void) | undefined) {
    this.#subject = subject
    this.#onResult = onResult
  }

  get hasWritten(): boolean {
    return this.#told('push')
  }

  /** What only reads. @returns false when the registry cannot be reached, or does not let us in */
  async reading(): Promise<boolean> {
    const subject = this.#subject
    if (!(await this.step('api', async () => probeApi(subject)))) return false
    await this.step('clock', async () => probeClock(subject))
    const pull = await this.step('pull', async () => probePull(subject))
    if (!pull) return false
    await this.step('limits', async () => probeLimits(subject, pull.tags))
    // An empty repository is paged through later, when it has tags of ours.
    if (pull.tags >= 2) await this.step('paging', async () => probePaging(subject, pull.tags))
    return true
  }

  skipOthers(reason: string): void {
    for (const name of PROBES) if (!TOLD_ELSEWHERE.has(name) && !this.#told(name)) this.tell(skip(name, reason))
  }

  /** Runs one probe and tells its result. @returns it, or undefined when it could not be had */
  async step<T extends ProbeResult>(name: ProbeName, probe: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await probe()
      this.tell(result)
      return result
    } catch (error) {
      this.#fail(name, error)
      return undefined
    }
  }

  tell(result: ProbeResult): void {
    this.results.push(result)
    this.#onResult?.(result)
  }

  async writing(): Promise<void> {
    const subject = this.#subject
    const push = await this.step('push', async () => probePush(subject))
    if (!push) return
    const {blob} = push
    await this.step('range', async () => probeRange(subject, blob))
    await this.step('chunked-upload', async () => probeChunked(subject))
    const first = await this.#manifest(blob)
    if (!first) return
    const before = await this.#digestOf(first)
    await this.step('tag-mutability', async () => probeMutability(subject, blob.descriptor, first))
    if (before) await this.step('untagged', async () => probeUntagged(subject, before, first))
    const second = await this.#secondTag(blob)
    if (!second) return
    if (!this.#told('paging')) await this.step('paging', async () => probePaging(subject, 2))
    await this.#deletes(first, second)
  }

  async #deletes(first: string, second: {readonly digest: Digest; readonly tag: string}): Promise<void> {
    const subject = this.#subject
    try {
      const {digest} = await subject.repository.manifests.resolve(first, {signal: subject.signal})
      for (const result of await probeDeletes(subject, {digest, tag: first}, second)) this.tell(result)
    } catch (error) {
      this.#fail('delete-tag', error)
    }
  }

  async #digestOf(tag: string): Promise<Digest | undefined> {
    const {repository, signal} = this.#subject
    try {
      return (await repository.manifests.resolve(tag, {signal})).digest
    } catch (error) {
      this.#fail('untagged', error)
      return undefined
    }
  }

  #fail(name: ProbeName, error: unknown): void {
    if (hasCode(error, 'INTERRUPTED') || this.#subject.signal?.aborted) throw error
    this.tell(failed(name, error))
  }

  /** @returns the tag that it was given, when a manifest was taken */
  async #manifest({descriptor}: ProbeBlob): Promise<string | undefined> {
    try {
      const {results, tag} = await probeManifest(this.#subject, descriptor)
      for (const result of results) this.tell(result)
      return tag
    } catch (error) {
      this.#fail('manifest', error)
      return undefined
    }
  }

  async #secondTag({descriptor}: ProbeBlob): Promise<undefined | {readonly digest: Digest; readonly tag: string}> {
    const tag = randomTag()
    try {
      return {digest: await this.#subject.pushManifest(this.#subject.manifest(descriptor), tag), tag}
    } catch (error) {
      this.#fail('delete-tag', error)
      return undefined
    }
  }

  #told(name: ProbeName): boolean {
    return this.results.some((result) => result.name === name)
  }
}

function cleanupResult({tags, untagged, why}: Leftovers): ProbeResult {
  const facts = {tags: tags.length, untagged: untagged.length}
  if (tags.length > 0) {
    return warn('cleanup', `could not remove again: ${tags.join(', ')}`, {
      facts: {...facts, why: why.join('; ')},
      next: "Remove these tags with the registry's own interface: no store uses them.",
    })
  }

  if (untagged.length === 0) return ok('cleanup', 'everything that was written has been removed again', facts)
  return ok('cleanup', "all tags removed; what no tag leads to is left to the registry's garbage collection", facts)
}
