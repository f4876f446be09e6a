import {randomBytes} from 'node:crypto'

import type {Clock} from '../../util/clock.js'
import type {Descriptor} from '../descriptor.js'
import type {Repository} from '../interfaces.js'
import type {RawManifest} from '../manifest.js'
import type {RemoteContext} from '../remote/context.js'

import {isNotFound, messageOf} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {bufferSource} from '../../util/content-source.js'
import {type Digest, digestOf} from '../digest.js'
import {MEDIA_TYPE} from '../media-types.js'
import {trialNote, trialOf, trialTag} from '../trial-tags.js'

const CONFIG_BLOB = Buffer.from('{}')
/** Of more the rest is left to the next time. */
const MAX_EARLIER = 10_000

/** A blob of random bytes, which is nowhere yet. */
export interface ProbeBlob {
  readonly bytes: Buffer
  readonly descriptor: Descriptor
}

export function randomBlob(size: number): ProbeBlob {
  const bytes = randomBytes(size)
  return {bytes, descriptor: {digest: digestOf(bytes), mediaType: MEDIA_TYPE.octetStream, size}}
}

export function randomTag(): string {
  return trialTag('doctor', randomBytes(8).toString('hex'))
}

/** What could not be removed again. */
export interface Leftovers {
  readonly tags: readonly string[]
  /** Manifests and blobs that no tag leads to: the registry's garbage collection takes them. */
  readonly untagged: readonly Digest[]
  readonly why: readonly string[]
}

/** The repository that is probed, and everything that was put into it. */
export class ProbeSubject {
  readonly clock: Clock
  /** For requests that only a registry understands; none for a directory. */
  readonly context: RemoteContext | undefined
  readonly repository: Repository
  readonly signal: AbortSignal | undefined
  readonly #blobs = new Set<Digest>()
  readonly #earlier: string[] = []
  readonly #manifests = new Set<Digest>()
  readonly #tags = new Set<string>()

  constructor(parts: {
    readonly clock: Clock
    readonly context: RemoteContext | undefined
    readonly repository: Repository
    readonly signal: AbortSignal | undefined
  }) {
    this.clock = parts.clock
    this.context = parts.context
    this.repository = parts.repository
    this.signal = parts.signal
  }

  /** Tags that bear a trial's name and were there before this one. */
  get earlier(): readonly string[] {
    return this.#earlier
  }

  /** Notes what is about to be put there by other ways than `pushBlob` and `pushManifest`. */
  expect({blob, tag}: {readonly blob?: Digest; readonly tag?: string}): void {
    if (blob) this.#blobs.add(blob)
    if (tag !== undefined) this.#tags.add(tag)
  }

  /** Whether a tag or a manifest is there. */
  async has(reference: string): Promise<boolean> {
    try {
      await this.repository.manifests.resolve(reference, {signal: this.signal})
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }

  /** A manifest of nothing but `layer`, different each time. */
  manifest(layer: Descriptor, artifactType?: string): RawManifest {
    const json = {
      mediaType: MEDIA_TYPE.imageManifest,
      schemaVersion: 2,
      ...(artifactType !== undefined && {artifactType}),
      annotations: {...trialNote(this.clock.now()), 'dev.kloset-oci.doctor': randomBytes(8).toString('hex')},
      config: {digest: digestOf(CONFIG_BLOB), mediaType: MEDIA_TYPE.imageConfig, size: CONFIG_BLOB.length},
      layers: [layer],
    }
    return {bytes: Buffer.from(JSON.stringify(json)), mediaType: MEDIA_TYPE.imageManifest}
  }

  /** Notes a tag that is there already, when it bears a trial's name. */
  noteEarlier(tag: string): void {
    if (this.#earlier.length < MAX_EARLIER && trialOf(tag) !== undefined) this.#earlier.push(tag)
  }

  async pushBlob({bytes, descriptor}: ProbeBlob): Promise<void> {
    this.#blobs.add(descriptor.digest)
    await this.repository.blobs.push(descriptor, bufferSource(bytes), {force: true, signal: this.signal})
  }

  /** The config blob is left alone afterwards: `{}` is every other object's too. */
  async pushConfig(): Promise<void> {
    const {signal} = this
    const descriptor = {digest: digestOf(CONFIG_BLOB), mediaType: MEDIA_TYPE.imageConfig, size: CONFIG_BLOB.length}
    await this.repository.blobs.push(descriptor, bufferSource(CONFIG_BLOB), {signal})
  }

  async pushManifest(manifest: RawManifest, tag: string): Promise<Digest> {
    this.#tags.add(tag)
    this.#manifests.add(digestOf(manifest.bytes))
    const {digest} = await this.repository.manifests.push(manifest, {signal: this.signal, tag})
    return digest
  }

  /** Removes everything again, tags first. A repository that does not delete keeps some of it. */
  async removeAll(signal: AbortSignal): Promise<Leftovers> {
    const {blobs, manifests} = this.repository
    const why = new Set<string>()
    const kept = async <T extends string>(things: ReadonlySet<T>, remove: (thing: T) => Promise<unknown>) => {
      const left: T[] = []
      for (const thing of things) {
        try {
          throwIfAborted(signal)
          await remove(thing)
        } catch (error) {
          if (isNotFound(error)) continue
          left.push(thing)
          why.add(messageOf(error))
        }
      }

      return left
    }

    return {
      tags: await kept(this.#tags, async (tag) => manifests.untag(tag, {signal})),
      untagged: [
        ...(await kept(this.#manifests, async (digest) => manifests.delete(digest, {signal}))),
        ...(await kept(this.#blobs, async (digest) => blobs.delete(digest, {signal}))),
      ],
      why: [...why],
    }
  }
}
