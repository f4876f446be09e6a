import type {Readable} from 'node:stream'

import type {ContentSource} from '../util/content-source.js'
import type {Descriptor} from './descriptor.js'
import type {Digest} from './digest.js'
import type {FetchedManifest, RawManifest} from './manifest.js'

/**
 * What a repository can do, in small capabilities. Three backends implement them: a registry over HTTP
 * (`remote/`), an image-layout directory (`layout/`) and memory (`memory/`); one contract suite runs over all.
 */

export interface CallOptions {
  /** Ends the call early; it then rejects with `InterruptedError` (the signal's own reason as cause). */
  readonly signal?: AbortSignal | undefined
}

/** A closed range of bytes: `length` is at least 1. */
export interface ByteRange {
  readonly length: number
  readonly offset: number
}

export interface FetchOptions extends CallOptions {
  /** Only these bytes. A range that ends beyond the content is cut at its end; one that starts there is refused. */
  readonly range?: ByteRange | undefined
}

export interface Fetcher {
  /**
   * Streams a blob. Without a range the stream is checked while it passes: it errors with `IntegrityError` rather than
   * end when size or digest differ. With a range its length is checked and nothing else can be.
   * `target.size` of -1 means unknown and is not checked.
   * @throws NotFoundError | IntegrityError | ProtocolError, or a transport error, before or during the stream
   */
  fetch(target: Descriptor, options?: FetchOptions): Promise<Readable>
}

export interface PushOptions extends CallOptions {
  /** Skips the check for an existing blob: the caller knows that it is new, or wants it sent whatever is there. */
  readonly force?: boolean | undefined
}

export interface Pusher {
  /**
   * Stores a blob whose digest and size are known; sends nothing when it is there already.
   * Nothing is visible under the digest unless every byte arrived and matched.
   * @returns whether bytes were sent
   * @throws IntegrityError when the source's bytes are not what `target` says
   */
  push(target: Descriptor, source: ContentSource, options?: PushOptions): Promise<boolean>
}

export interface Resolver {
  /**
   * Descriptor of a manifest by tag or digest, or of a blob by digest.
   * @throws NotFoundError
   */
  resolve(reference: string, options?: CallOptions): Promise<Descriptor>
}

export interface Tagger {
  /** Points `tag` at a manifest that is in the repository. An existing tag is moved. */
  tag(target: Descriptor, tag: string, options?: CallOptions): Promise<void>
}

export interface TagLister {
  /**
   * Every tag, each once, in the backend's order. The walk is complete or it throws: a short, looping or malformed
   * list is a `ProtocolError`, never a shorter answer. A repository that does not exist has no tags.
   */
  tags(options?: CallOptions): AsyncIterable<string>
}

export interface Deleter {
  /** @throws NotFoundError | UnsupportedError */
  delete(digest: Digest, options?: CallOptions): Promise<void>
}

export interface Mounter {
  /**
   * Makes a blob of another repository of the same registry appear in this one without sending it.
   * @returns false when the registry declined: the caller then pushes
   */
  mount(target: Descriptor, from: string, options?: CallOptions): Promise<boolean>
}

export interface BlobStore extends Deleter, Fetcher, Pusher, Resolver {}

/** What became of a tag's removal. */
export interface UntagResult {
  /** True when the manifest itself was deleted too, so that the registry's GC can free its blobs. */
  readonly manifestDeleted: boolean
  /** How it was done: the registry's tag DELETE, the manifest's digest, or a stand-in manifest that was deleted. */
  readonly strategy: 'digest' | 'replace' | 'tag'
}

export interface UntagOptions extends CallOptions {
  /**
   * Also delete the manifest when no other tag shares it (default true). A shared manifest always stays.
   * False leaves an untagged manifest where the registry cannot remove a tag alone.
   */
  readonly deleteManifest?: boolean | undefined
  /**
   * What could need the same manifest, for a caller who can tell from its bytes: only tags of which the answer is true
   * are looked at. Without an answer all tags are, one request each.
   */
  readonly sharers?: ((manifest: RawManifest) => ((tag: string) => boolean) | undefined) | undefined
}

export interface ManifestStore extends Deleter, Resolver, Tagger {
  /** The manifest's exact bytes, checked against the digest they were asked for or announced with. */
  get(reference: string, options?: CallOptions): Promise<FetchedManifest>
  /**
   * Stores a manifest under a tag, or under its digest alone when `tag` is not given.
   * @returns its descriptor; the registry's own digest is compared when it sends one
   */
  push(manifest: RawManifest, options?: CallOptions & {readonly tag?: string | undefined}): Promise<Descriptor>
  /**
   * Removes a tag and only that tag: a manifest that another tag shares is never deleted.
   * @throws NotFoundError | UnsupportedError when the registry offers no way
   */
  untag(tag: string, options?: UntagOptions): Promise<UntagResult>
}

/** Manifests that point at a subject. Optional: use `canListReferrers`. */
export interface ReferrerLister {
  referrers(subject: Digest, options?: CallOptions): AsyncIterable<Descriptor>
}

/** Every manifest, tagged or not. Only backends that own their storage can. Optional: use `canListManifests`. */
export interface ManifestLister {
  manifestDigests(options?: CallOptions): AsyncIterable<Descriptor>
}

/** Every blob of the storage. Optional: use `canListBlobs`. */
export interface BlobLister {
  blobDigests(options?: CallOptions): AsyncIterable<Descriptor>
}

/** Frees what nothing refers to any more. Only backends that own their storage can. Optional: use `canCollectGarbage`. */
export interface GarbageCollectable {
  /**
   * Removes blobs that no manifest reaches, tagged or not. Safe beside writers.
   * @param graceMs blobs younger than this stay: the manifest of a push under way may come yet
   * @throws IntegrityError when a manifest cannot be read; nothing is removed then
   */
  collectGarbage(
    options?: CallOptions & {readonly dryRun?: boolean | undefined; readonly graceMs?: number | undefined},
  ): Promise<{readonly blobs: readonly Descriptor[]; readonly bytes: number}>
}

/** What time it is where the repository is. Optional: use `canTellTime`. */
export interface TimeTeller {
  /** Milliseconds since the epoch, to the second; undefined when the other side does not say. */
  time(options?: CallOptions): Promise<number | undefined>
}

/** What the credentials allow, asked without leaving anything behind. Optional: use `canProbeAccess`. */
export interface AccessProber {
  access(options?: CallOptions): Promise<{readonly read: boolean; readonly write: boolean}>
}

/** One repository: blobs, manifests and tags. `close` frees connections and locks. */
export interface Repository extends TagLister {
  readonly blobs: BlobStore
  close(): Promise<void>
  /** How an operator writes it: `oci://host/path` or `oci-layout:PATH`. No credentials. */
  readonly location: string
  readonly manifests: ManifestStore
  /** Whether it answers and lets us in. @throws what stands in the way */
  ping(options?: CallOptions): Promise<void>
}

function has(value: object, name: string): boolean {
  return typeof (value as Record<string, unknown>)[name] === 'function'
}

export function canMount(blobs: BlobStore): blobs is BlobStore & Mounter {
  return has(blobs, 'mount')
}

export function canProbeAccess(repository: Repository): repository is AccessProber & Repository {
  return has(repository, 'access')
}

export function canCollectGarbage(repository: Repository): repository is GarbageCollectable & Repository {
  return has(repository, 'collectGarbage')
}

export function canTellTime(repository: Repository): repository is Repository & TimeTeller {
  return has(repository, 'time')
}

export function canListReferrers(repository: Repository): repository is ReferrerLister & Repository {
  return has(repository, 'referrers')
}

export function canListManifests(repository: Repository): repository is ManifestLister & Repository {
  return has(repository, 'manifestDigests')
}

export function canListBlobs(repository: Repository): repository is BlobLister & Repository {
  return has(repository, 'blobDigests')
}
