import type {Descriptor} from '../../registry/descriptor.js'
import type {Digest} from '../../registry/digest.js'
import type {BlobStore, ManifestStore, ReferrerLister, Repository} from '../../registry/interfaces.js'
import type {BlobIngester} from '../../registry/local/ingest.js'
import type {ManifestPushOptions} from '../../registry/local/push.js'
import type {RawManifest} from '../../registry/manifest.js'

/** A repository as the server needs it: one that owns its storage. */
export interface ServedRepository extends ReferrerLister, Repository {
  readonly blobs: BlobIngester &
    BlobStore & {
      /** Whether a blob is there, and stays for the manifest that will name it. */
      keep(target: Pick<Descriptor, 'digest' | 'size'>): Promise<boolean>
    }
  readonly manifests: ManifestStore & {
    push(manifest: RawManifest, options?: ManifestPushOptions): Promise<Descriptor>
  }
}

/** Where the repositories of a server are. Names are checked before they come here. */
export interface Root {
  close(): Promise<void>
  /** Opens a repository and makes it when there is none. @throws HttpFault when that cannot be */
  create(name: string): Promise<ServedRepository>
  /** Makes a blob of one repository appear in another. @returns false when the first has no such blob */
  mount(digest: Digest, from: string, to: string): Promise<boolean>
  /** Names of all repositories, in order. */
  names(): Promise<readonly string[]>
  open(name: string): Promise<ServedRepository | undefined>
}
