import pMap from 'p-map'

import type {CallOptions} from '../interfaces.js'
import type {RawManifest} from '../manifest.js'
import type {RemoteContext} from './context.js'
import type {ManifestReader} from './manifest-reader.js'

import {isNotFound} from '../../errors.js'
import {type Digest} from '../digest.js'
import {childrenOf} from '../local/referrer.js'
import {isIndexType} from '../manifest.js'

/** A burst of removals lists the tags once: a list takes about as long to read as this. */
const FRESH_MS = 5000
/** After that long, what a tag was seen to point at is asked again. */
const STALE_MS = 10 * 60_000
const BATCH = 1000

interface Entry {
  /** The manifest and, under an index, those it lists. */
  readonly digests: readonly Digest[]
  readonly seenAt: number
}

export interface OthersOptions extends CallOptions {
  /** Tags that could; the rest is not asked. By default all. */
  readonly among?: ((tag: string) => boolean) | undefined
}

/**
 * Which tags use which manifest. Built by listing every tag and asking for each, so that a digest is only deleted when
 * it is proved that no other tag needs it; kept, and brought up to date by asking for new tags alone.
 */
export class TagIndex {
  readonly #context: RemoteContext
  readonly #entries = new Map<string, Entry>()
  readonly #reader: ManifestReader
  #refreshedAt = Number.NEGATIVE_INFINITY
  #running: Promise<void> = Promise.resolve()
  readonly #tags: (options: CallOptions) => AsyncIterable<string>

  constructor(context: RemoteContext, reader: ManifestReader, tags: (options: CallOptions) => AsyncIterable<string>) {
    this.#context = context
    this.#reader = reader
    this.#tags = tags
  }

  /** A tag is gone. */
  forget(tag: string): void {
    this.#entries.delete(tag)
  }

  /** A manifest is gone, and its tags with it. */
  forgetDigest(digest: Digest): void {
    for (const [tag, {digests}] of this.#entries) if (digests[0] === digest) this.#entries.delete(tag)
  }

  /** A tag was written by us. */
  note(tag: string, manifest: RawManifest, digest: Digest): void {
    this.#entries.set(tag, {digests: [digest, ...childrenOf(manifest)], seenAt: this.#now()})
  }

  /**
   * Tags other than `tag` that need the manifest `digest`.
   * @throws whatever kept the list or one of its tags from being read: without all of them nothing is proved
   */
  async others(digest: Digest, tag: string, options: OthersOptions): Promise<string[]> {
    const previous = this.#running
    const refreshed = previous.catch(() => {}).then(async () => this.#refresh(options))
    this.#running = refreshed
    await refreshed
    return [...this.#entries]
      .filter(([name, entry]) => name !== tag && entry.digests.includes(digest))
      .map(([name]) => name)
  }

  /** Asks for the tags that are not known, or were seen too long ago. A tag that is listed and not there needs nothing. */
  async #ask(tags: readonly string[], options: CallOptions): Promise<void> {
    await pMap(
      tags,
      async (tag) => {
        const digests = await this.#digestsOf(tag, options)
        // A tag that we wrote meanwhile is known better than the answer that was under way.
        if (!this.#entries.has(tag)) this.#entries.set(tag, {digests, seenAt: this.#now()})
      },
      {concurrency: this.#context.concurrency},
    )
  }

  async #digestsOf(tag: string, options: CallOptions): Promise<Digest[]> {
    try {
      const {digest, mediaType} = await this.#reader.identify(tag, options)
      if (!isIndexType(mediaType)) return [digest]
      const manifest = await this.#reader.get(tag, options)
      return [manifest.descriptor.digest, ...childrenOf(manifest)]
    } catch (error) {
      if (isNotFound(error)) return []
      throw error
    }
  }

  #now(): number {
    return this.#context.policy.clock.now()
  }

  async #refresh({among, ...options}: OthersOptions): Promise<void> {
    const started = this.#now()
    if (started - this.#refreshedAt < FRESH_MS) return
    for (const [tag, {seenAt}] of this.#entries) if (started - seenAt > STALE_MS) this.#entries.delete(tag)
    const listed = new Set<string>()
    let unknown: string[] = []
    for await (const tag of this.#tags(options)) {
      listed.add(tag)
      if (!this.#entries.has(tag) && (!among || among(tag))) unknown.push(tag)
      if (unknown.length < BATCH) continue
      await this.#ask(unknown, options)
      unknown = []
    }

    await this.#ask(unknown, options)
    for (const [tag, {seenAt}] of this.#entries) if (!listed.has(tag) && seenAt < started) this.#entries.delete(tag)
    if (!among) this.#refreshedAt = this.#now()
  }
}
