import type {Readable} from 'node:stream'

import {randomBytes} from 'node:crypto'
import {setMaxListeners} from 'node:events'
import pMap from 'p-map'

import type {Clock} from '../util/clock.js'
import type {Descriptor} from './descriptor.js'
import type {CallOptions, Repository} from './interfaces.js'

import {hasCode, isNotFound, messageOf} from '../errors.js'
import {throwIfAborted} from '../util/abort.js'
import {systemClock} from '../util/clock.js'
import {bufferSource} from '../util/content-source.js'
import {drain} from '../util/drain.js'
import {type Digest, digestOf} from './digest.js'
import {MEDIA_TYPE} from './media-types.js'
import {trialNote, trialTag} from './trial-tags.js'

export const BENCH_PHASES = ['put', 'head', 'get', 'range', 'delete'] as const
export type BenchPhase = (typeof BENCH_PHASES)[number]

export interface BenchOptions extends CallOptions {
  readonly clock?: Clock | undefined
  readonly concurrency: number
  /** Bytes of each object. */
  readonly objectBytes: number
  readonly objects: number
  readonly onPhase?: ((phase: BenchPhase) => void) | undefined
  /** Bytes of each ranged read. */
  readonly rangeBytes: number
  readonly ranges: number
  /** Requests made so far, where they can be counted. */
  readonly requests?: (() => number) | undefined
}

/** Milliseconds. */
export interface Latency {
  readonly max: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export interface PhaseResult {
  readonly bytes: number
  readonly bytesPerSecond: number
  readonly failed: number
  readonly latency: Latency
  readonly operations: number
  readonly operationsPerSecond: number
  readonly phase: BenchPhase
  /** Absent where no requests are made: a directory. */
  readonly requests?: number
  /** Per 2^20 bytes moved. */
  readonly requestsPerMiB?: number
  readonly seconds: number
}

export interface BenchResult {
  /** The first failure of each kind, in words. */
  readonly failures: readonly string[]
  /** Tags and digests that could not be removed again. */
  readonly leftovers: readonly string[]
  readonly phases: readonly PhaseResult[]
}

interface BenchObject {
  readonly bytes: Buffer
  readonly layer: Descriptor
  manifest: Digest | undefined
  readonly tag: string
}

const CONFIG_BLOB = Buffer.from('{}')
/** Clearing up takes this long at most, after an interruption too. */
const CLEANUP_MS = 60_000
const MAX_FAILURES = 8

/**
 * Measures a repository with random objects of its own, which it removes again whatever happens. Nothing that is there
 * is read or touched.
 * @throws InterruptedError after everything was cleared up
 */
export async function benchRepository(repository: Repository, options: BenchOptions): Promise<BenchResult> {
  const bench = new Bench(repository, options)
  try {
    await bench.measure()
  } finally {
    await bench.clear()
  }

  return bench.result()
}

class Bench {
  readonly #failures = new Set<string>()
  readonly #leftovers: string[] = []
  readonly #objects: BenchObject[]
  readonly #options: BenchOptions
  readonly #phases: PhaseResult[] = []
  readonly #repository: Repository

  constructor(repository: Repository, options: BenchOptions) {
    this.#options = options
    this.#repository = repository
    this.#objects = Array.from({length: options.objects}, () => {
      const bytes = randomBytes(options.objectBytes)
      const layer = {digest: digestOf(bytes), mediaType: MEDIA_TYPE.octetStream, size: bytes.length}
      return {bytes, layer, manifest: undefined, tag: trialTag('bench', randomBytes(8).toString('hex'))}
    })
  }

  async clear(): Promise<void> {
    const signal = AbortSignal.timeout(CLEANUP_MS)
    setMaxListeners(0, signal)
    await this.#phase('delete', this.#objects, signal, async (object) => this.#remove(object, signal))
  }

  async measure(): Promise<void> {
    const {clock = systemClock, rangeBytes, ranges, signal} = this.#options
    const objects = this.#objects
    const {blobs, manifests} = this.#repository
    const config = {digest: digestOf(CONFIG_BLOB), mediaType: MEDIA_TYPE.imageConfig, size: CONFIG_BLOB.length}
    // Not measured: a store writes it once.
    await blobs.push(config, bufferSource(CONFIG_BLOB), {signal})
    await this.#phase('put', objects, signal, async (object) => {
      const {bytes, layer, tag} = object
      await blobs.push(layer, bufferSource(bytes), {force: true, signal})
      const manifest = manifestOf(layer, config, {now: clock.now(), tag})
      object.manifest = digestOf(manifest.bytes)
      await manifests.push(manifest, {signal, tag})
      return bytes.length
    })
    const stored = objects.filter(({manifest}) => manifest)
    await this.#phase('head', stored, signal, async ({tag}) => {
      await manifests.resolve(tag, {signal})
      return 0
    })
    await this.#phase('get', stored, signal, async ({layer, tag}) => {
      await manifests.get(tag, {signal})
      return read(await blobs.fetch(layer, {signal}))
    })
    const length = Math.min(rangeBytes, this.#options.objectBytes)
    const reads = Array.from({length: ranges}, (_, index) => stored[index % Math.max(1, stored.length)]).filter(
      (object) => object !== undefined,
    )
    await this.#phase('range', reads, signal, async ({layer}) => {
      const offset = Math.floor(Math.random() * (layer.size - length + 1))
      return read(await blobs.fetch(layer, {range: {length, offset}, signal}))
    })
  }

  result(): BenchResult {
    return {failures: [...this.#failures], leftovers: this.#leftovers, phases: this.#phases}
  }

  async #phase<T>(
    phase: BenchPhase,
    items: readonly T[],
    signal: AbortSignal | undefined,
    work: (item: T) => Promise<number>,
  ): Promise<void> {
    const {concurrency, onPhase, requests} = this.#options
    onPhase?.(phase)
    const latencies: number[] = []
    let [bytes, failed] = [0, 0]
    const requestsBefore = requests?.()
    const begun = performance.now()
    await pMap(
      items,
      async (item) => {
        if (phase !== 'delete') throwIfAborted(signal)
        const at = performance.now()
        try {
          const moved = await work(item)
          bytes += moved
          latencies.push(performance.now() - at)
        } catch (error) {
          if (hasCode(error, 'INTERRUPTED') && phase !== 'delete') throw error
          failed++
          if (this.#failures.size < MAX_FAILURES) this.#failures.add(`${phase}: ${messageOf(error)}`)
        }
      },
      {concurrency},
    )
    const seconds = (performance.now() - begun) / 1000
    const made = requests === undefined || requestsBefore === undefined ? undefined : requests() - requestsBefore
    this.#phases.push({
      bytes,
      bytesPerSecond: bytes / seconds,
      failed,
      latency: latencyOf(latencies),
      operations: latencies.length,
      operationsPerSecond: latencies.length / seconds,
      phase,
      ...(made !== undefined && {requests: made}),
      ...(made !== undefined && bytes > 0 && {requestsPerMiB: made / (bytes / 2 ** 20)}),
      seconds,
    })
  }

  /** Its digest is nobody else's, so that no other tag has to be asked; where digests are not deleted, the tag is. */
  async #remove({layer, manifest, tag}: BenchObject, signal: AbortSignal): Promise<number> {
    const {blobs, manifests} = this.#repository
    try {
      if (manifest) await manifests.delete(manifest, {signal})
    } catch (error) {
      if (signal.aborted) this.#leftovers.push(tag)
      if (signal.aborted) throw error
    }

    try {
      await manifests.resolve(tag, {signal})
      await manifests.untag(tag, {signal})
    } catch (error) {
      if (!isNotFound(error)) {
        this.#leftovers.push(tag)
        throw error
      }
    }

    // Many registries delete no blobs: then they are their garbage collection's.
    await blobs.delete(layer.digest, {signal}).catch(() => {})
    return 0
  }
}

function manifestOf(layer: Descriptor, config: Descriptor, {now, tag}: {readonly now: number; readonly tag: string}) {
  const json = {
    annotations: {...trialNote(now), 'io.kloset-oci.bench': tag},
    config,
    layers: [layer],
    mediaType: MEDIA_TYPE.imageManifest,
    schemaVersion: 2,
  }
  return {bytes: Buffer.from(JSON.stringify(json)), mediaType: MEDIA_TYPE.imageManifest}
}

/** Reads everything. @returns its bytes */
async function read(stream: Readable): Promise<number> {
  let bytes = 0
  await drain(stream, (piece) => {
    bytes += piece.length
  })
  return bytes
}

/** By nearest rank. */
export function latencyOf(milliseconds: readonly number[]): Latency {
  const sorted = milliseconds.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return {max: sorted.at(-1) ?? 0, p50: at(0.5), p95: at(0.95), p99: at(0.99)}
}
