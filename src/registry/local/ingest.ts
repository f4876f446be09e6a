import type {Descriptor} from '../descriptor.js'
import type {Digest, DigestAlgorithm} from '../digest.js'
import type {CallOptions} from '../interfaces.js'

export interface AppendOptions extends CallOptions {
  /** How many bytes the whole blob may have; one more is an error at once. */
  readonly limit?: number | undefined
}

/** A blob on its way in whose digest and size are not known yet: an upload session of a registry. */
export interface BlobIngest {
  /** Throws everything away. Harmless when it is over already. */
  abort(): Promise<void>
  /**
   * Adds bytes. When the source or the disk fails, what was added so far stays: `size` tells.
   * @throws LocalIoError | InterruptedError | IntegrityError beyond the limit, or the source's own error
   */
  append(bytes: AsyncIterable<Uint8Array>, options?: AppendOptions): Promise<void>
  /**
   * Makes the bytes a blob. Ends the session when it succeeds or the digest is not theirs.
   * @throws IntegrityError | LocalIoError
   */
  commit(digest: Digest, options?: CallOptions): Promise<Descriptor>
  /** Frees what a session that waits need not hold, an open file for one. */
  park(): Promise<void>
  /** Bytes taken so far. */
  readonly size: number
}

/** Optional for a blob store that owns its storage. */
export interface BlobIngester {
  /** @param algorithm the one that the digest will have, when it is known: another one costs a second reading */
  ingest(algorithm?: DigestAlgorithm): Promise<BlobIngest>
}
