import type {Descriptor} from '../descriptor.js'
import type {Digest} from '../digest.js'
import type {
  BlobLister,
  BlobStore,
  CallOptions,
  ManifestLister,
  ManifestStore,
  ReferrerLister,
  Repository,
} from '../interfaces.js'
import type {FetchedManifest, RawManifest} from '../manifest.js'
import type {BlobIngester} from './ingest.js'
import type {ManifestPushOptions} from './push.js'

export interface OwnedBlobs extends BlobIngester, BlobStore {
  /**
   * Whether a blob is there, with this size unless it is -1. When it is, a garbage collection that runs meanwhile leaves
   * it to the manifest that will name it.
   */
  keep(target: Pick<Descriptor, 'digest' | 'size'>): Promise<boolean>
}

export interface OwnedManifests extends ManifestStore {
  /** The manifest's bytes as they are stored, unchecked: for a server, whose clients check. */
  getStored(reference: string, options?: CallOptions): Promise<FetchedManifest>
  push(manifest: RawManifest, options?: ManifestPushOptions): Promise<Descriptor>
}

/** A repository whose storage is this program's own: what a registry needs to serve it. */
export interface OwnedRepository extends BlobLister, ManifestLister, ReferrerLister, Repository {
  /** @returns false when `from` has no such blob */
  adoptBlob(digest: Digest, from: OwnedRepository, options?: CallOptions): Promise<boolean>
  readonly blobs: OwnedBlobs
  readonly manifests: OwnedManifests
  /** Every tag in the order of its bytes, as one array that never changes. */
  sortedTags(options?: CallOptions): Promise<readonly string[]>
}
