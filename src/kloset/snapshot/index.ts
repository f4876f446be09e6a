/** Snapshots: headers, the trees of their files, and the content. */
export {
  type BlobReader,
  type BrokenNode,
  type Compare,
  decodeNode,
  decodeTreeRoot,
  type Node,
  Tree,
  type TreeEntry,
} from './btree.js'
export {decodeDirpack, type PackedEntry} from './dirpack.js'
export {type CustomMetadata, decodeEntry, type Entry, type FileInfo, isDirectory} from './entry.js'
export {type BackupError, decodeAttribute, decodeBackupError, type ExtendedAttribute} from './extras.js'
export {Filesystem, notInSnapshot, openAttributes, openErrors, openFiles, openIndex} from './filesystem.js'
export {
  type Classification,
  decodeHeader,
  type Identity,
  type Importer,
  isSigned,
  type KeyValue,
  logicalSize,
  type SnapshotHeader,
  type SnapshotIndex,
  type Source,
} from './header.js'
export {type EntryKind, kindOfMode, permissionsOfMode} from './mode.js'
export {type Chunk, ChunkList, decodeObject, encodeEmptyObject, type FileObject} from './object.js'
export {cleanPath, compareBytes, comparePaths, isPlainName, nameFromBytes, nameFromShown, nameToBytes} from './path.js'
export {type BlobReference, type BrokenReference, type ReferenceOptions, snapshotReferences} from './references.js'
export {Snapshot} from './snapshot.js'
export {type Counts, type Summary} from './summary.js'
