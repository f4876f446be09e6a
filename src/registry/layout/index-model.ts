import type {JsonObject} from '../../util/json.js'
import type {Digest} from '../digest.js'

import {isIndexType} from '../manifest.js'
import {MEDIA_TYPE} from '../media-types.js'
import {formatEntry, type IndexEntry, isBare, renamed} from './index-entry.js'

/** What of an index a change can look at. */
export interface IndexView {
  /** Entries that are indexes themselves. */
  nested(): Iterable<IndexEntry>
  /** Every entry of a manifest, named or not. */
  ofDigest(digest: Digest): readonly IndexEntry[]
  tagged(tag: string): IndexEntry | undefined
}

/**
 * A layout's `index.json` in memory: entries in their order, found by tag and by digest.
 * Where an index names a tag twice, the last entry has it, as in the tools that write such an index; a tag written
 * alone goes before one inside a full reference.
 */
export class LayoutIndex implements IndexView {
  readonly #byDigest = new Map<Digest, IndexEntry | readonly IndexEntry[]>()
  readonly #entries = new Set<IndexEntry>()
  readonly #nested = new Set<IndexEntry>()
  /** The index's own fields, without its list. */
  readonly #rest: JsonObject
  readonly #shadowed = new Map<string, readonly IndexEntry[]>()
  #sorted: readonly string[] | undefined
  readonly #tags = new Map<string, IndexEntry>()
  #version = 0

  constructor(entries: Iterable<IndexEntry> = [], rest: JsonObject = {}) {
    this.#rest = rest
    for (const entry of entries) this.#add(entry)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Changes with every change. */
  get version(): number {
    return this.#version
  }

  apply(removed: ReadonlySet<IndexEntry>, added: Iterable<IndexEntry>): void {
    this.#version++
    for (const entry of removed) this.#remove(entry)
    for (const entry of added) this.#add(entry)
  }

  /** Digests of every manifest with an entry, each once. */
  digests(): Iterable<Digest> {
    return this.#byDigest.keys()
  }

  entries(): Iterable<IndexEntry> {
    return this.#entries
  }

  nested(): Iterable<IndexEntry> {
    return this.#nested
  }

  ofDigest(digest: Digest): readonly IndexEntry[] {
    const found = this.#byDigest.get(digest)
    if (found === undefined) return []
    return Array.isArray(found) ? (found as readonly IndexEntry[]) : [found as IndexEntry]
  }

  /** The index as JSON in pieces, with some entries left out and others at the end. */
  *serialise(removed: ReadonlySet<IndexEntry>, added: Iterable<IndexEntry>): Generator<Buffer> {
    const head = {...this.#rest, mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2}
    let text = `${JSON.stringify(head).slice(0, -1)},"manifests":[`
    let separator = ''
    for (const list of [this.#entries, added]) {
      for (const entry of list) {
        if (removed.has(entry)) continue
        text += separator + formatEntry(entry)
        separator = ','
        if (text.length < PIECE_CHARS) continue
        yield Buffer.from(text)
        text = ''
      }
    }

    yield Buffer.from(`${text}]}`)
  }

  /** Entries that name the tag too, but do not have it. */
  shadowed(tag: string): readonly IndexEntry[] {
    return this.#shadowed.get(tag) ?? []
  }

  /** Every tag in the order of its bytes. The array is not changed later. */
  sortedTags(): readonly string[] {
    this.#sorted ??= [...this.#tags.keys()].sort()
    return this.#sorted
  }

  tagged(tag: string): IndexEntry | undefined {
    return this.#tags.get(tag)
  }

  #add(entry: IndexEntry): void {
    this.#entries.add(entry)
    if (isIndexType(entry.mediaType)) this.#nested.add(entry)
    const found = this.ofDigest(entry.digest)
    this.#byDigest.set(entry.digest, found.length === 0 ? entry : [...found, entry])
    const {tag} = entry
    if (tag === undefined) return
    const holder = this.#tags.get(tag)
    const loser = holder && holder.name === tag && entry.name !== tag ? entry : holder
    if (loser) this.#shadowed.set(tag, [...this.shadowed(tag), loser])
    else this.#sorted = undefined
    if (loser !== entry) this.#tags.set(tag, entry)
  }

  #remove(entry: IndexEntry): void {
    if (!this.#entries.delete(entry)) return
    this.#nested.delete(entry)
    const left = this.ofDigest(entry.digest).filter((other) => other !== entry)
    if (left.length === 0) this.#byDigest.delete(entry.digest)
    else this.#byDigest.set(entry.digest, left.length === 1 ? left[0]! : left)
    const {tag} = entry
    if (tag === undefined) return
    if (this.#tags.get(tag) === entry) {
      this.#tags.delete(tag)
      this.#sorted = undefined
    } else {
      const others = this.shadowed(tag).filter((other) => other !== entry)
      if (others.length > 0) this.#shadowed.set(tag, others)
      else this.#shadowed.delete(tag)
    }
  }
}

const PIECE_CHARS = 256 * 1024

const NO_ENTRIES: ReadonlySet<IndexEntry> = new Set()

/** Changes to an index that are not written yet. The index itself stays as it is until they are. */
export class IndexDraft implements IndexView {
  readonly #added = new Map<string, IndexEntry>()
  readonly #addedDigests = new Map<Digest, Set<IndexEntry>>()
  readonly #base: LayoutIndex
  readonly #removed = new Set<IndexEntry>()

  constructor(base: LayoutIndex) {
    this.#base = base
  }

  get isEmpty(): boolean {
    return this.#added.size === 0 && this.#removed.size === 0
  }

  /** How many entries the index will have. */
  get size(): number {
    return this.#base.size - this.#removed.size + this.#added.size
  }

  /** Makes the manifest known under its digest, unless it has an entry already. */
  addUntagged(entry: IndexEntry): void {
    if (this.ofDigest(entry.digest).length === 0) this.#add(renamed(entry))
  }

  /** Takes the changes over into the index: they have been written. */
  commit(): void {
    this.#base.apply(this.#removed, this.#added.values())
  }

  *digests(): Iterable<Digest> {
    for (const digest of this.#base.digests()) if (this.ofDigest(digest).length > 0) yield digest
    for (const digest of this.#addedDigests.keys()) if (this.#base.ofDigest(digest).length === 0) yield digest
  }

  *nested(): Iterable<IndexEntry> {
    for (const entry of this.#base.nested()) if (!this.#removed.has(entry)) yield entry
    for (const entry of this.#added.values()) if (isIndexType(entry.mediaType)) yield entry
  }

  ofDigest(digest: Digest): readonly IndexEntry[] {
    const base = this.#base.ofDigest(digest).filter((entry) => !this.#removed.has(entry))
    return [...base, ...(this.#addedDigests.get(digest) ?? NO_ENTRIES)]
  }

  /** Removes every entry of a manifest, and so its tags. @returns whether there was one */
  removeDigest(digest: Digest): boolean {
    const entries = this.ofDigest(digest)
    for (const {tag} of entries) if (tag !== undefined && this.tagged(tag)?.digest === digest) this.removeTag(tag)
    for (const entry of this.ofDigest(digest)) this.#remove(entry)
    return entries.length > 0
  }

  /**
   * Removes a tag: its entry, and the name of any other entry that would bring it back.
   * @returns the removed entry; its manifest may now be unknown: `addUntagged` keeps it
   */
  removeTag(tag: string): IndexEntry | undefined {
    const holder = this.tagged(tag)
    if (!holder) return undefined
    this.#remove(holder)
    for (const entry of this.#base.shadowed(tag)) {
      if (this.#removed.has(entry)) continue
      this.#remove(entry)
      if (entry.digest !== holder.digest) this.addUntagged(entry)
    }

    return holder
  }

  serialise(): Iterable<Buffer> {
    return this.#base.serialise(this.#removed, this.#added.values())
  }

  /** Points a tag at a manifest. The one it pointed at before stays known. */
  setTag(tag: string, entry: IndexEntry): void {
    const holder = this.tagged(tag)
    if (holder && holder.name === tag && isSame(holder, entry)) return
    this.removeTag(tag)
    const untagged = this.ofDigest(entry.digest).find((other) => isBare(other))
    if (untagged) this.#remove(untagged)
    this.#add(renamed(untagged && isSame(untagged, entry) ? untagged : entry, tag))
    if (holder) this.addUntagged(holder)
  }

  tagged(tag: string): IndexEntry | undefined {
    const added = this.#added.get(`tag:${tag}`)
    if (added) return added
    const holder = this.#base.tagged(tag)
    return holder && this.#removed.has(holder) ? undefined : holder
  }

  #add(entry: IndexEntry): void {
    this.#added.set(entry.tag === undefined ? `digest:${entry.digest}` : `tag:${entry.tag}`, entry)
    const digests = this.#addedDigests.get(entry.digest) ?? new Set()
    this.#addedDigests.set(entry.digest, digests.add(entry))
  }

  #remove(entry: IndexEntry): void {
    const digests = this.#addedDigests.get(entry.digest)
    if (!digests?.delete(entry)) {
      this.#removed.add(entry)
      return
    }

    if (digests.size === 0) this.#addedDigests.delete(entry.digest)
    this.#added.delete(entry.tag === undefined ? `digest:${entry.digest}` : `tag:${entry.tag}`)
  }
}

function isSame(a: IndexEntry, b: IndexEntry): boolean {
  return a.digest === b.digest && a.mediaType === b.mediaType && a.size === b.size
}
