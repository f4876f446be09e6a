/**
 * The library: a Kloset store in an OCI registry, without the terminal.
 *
 * `openRepository` opens a registry or a layout directory, `openStore` and `createStore` the store in it, and `gcCheck`
 * looks at everything that it has there. `StoreContents` reads what is in it, and `restore` gives its files back.
 */
export * from './checker/index.js'
export * from './errors.js'
export {EXIT, EXIT_CODES} from './exit-codes.js'
export {
  type BrokenSnapshot,
  describeSnapshot,
  type ListedSnapshot,
  listSnapshots,
  resolveSnapshot,
  type SnapshotFilter,
  type SnapshotList,
} from './kloset/catalog.js'
export {type Kdf, KDFS, newEncryption, unlock} from './kloset/codec/kdf.js'
export {Secret} from './kloset/codec/secret.js'
export {type EncryptionConfiguration} from './kloset/configuration-sections.js'
export * from './kloset/configuration.js'
export {type OpenContentsOptions, StoreContents} from './kloset/contents.js'
export * from './kloset/create.js'
export {type Hashing, HASHINGS} from './kloset/hashing.js'
export {decodeLock, isStale, type Lock, LOCK_REFRESH_MS, LOCK_TTL_MS, lockAge} from './kloset/lock.js'
export * from './kloset/mac.js'
export * from './kloset/resource.js'
export {type Entry, type Filesystem, kindOfMode, permissionsOfMode, type Snapshot} from './kloset/snapshot/index.js'
export * from './kloset/store.js'
export {formatTimestamp, type Timestamp} from './kloset/timestamp.js'
export {formatVersion, type Version} from './kloset/version.js'
export {type Descriptor} from './registry/descriptor.js'
export {type Digest, digestOf, parseDigest} from './registry/digest.js'
export * from './registry/interfaces.js'
export {memoryRepository} from './registry/memory/repository.js'
export * from './registry/open.js'
export * from './repair/index.js'
export * from './restore/index.js'
export * from './transfer/index.js'
export {type Clock, systemClock} from './util/clock.js'
export {bufferSource, type ContentSource, fileSource} from './util/content-source.js'
export {drain, type Sink} from './util/drain.js'
