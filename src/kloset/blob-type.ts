/**
 * The kinds of blob inside packfiles, by the numbers that states and indexes write.
 * @see kloset resources/resources.go
 */
export const BLOB_TYPES = {
  btreeNode: 20,
  btreeRoot: 19,
  chunk: 9,
  errorBtree: 13,
  errorEntry: 15,
  errorNode: 14,
  object: 7,
  /** For the resource itself, which states colour as well. */
  packfile: 4,
  /** Padding: its content means nothing, and its MAC is random. */
  random: 255,
  signature: 6,
  snapshot: 5,
  vfsBtree: 10,
  vfsEntry: 12,
  vfsNode: 11,
  vfsSummary: 21,
  xattrBtree: 16,
  xattrEntry: 18,
  xattrNode: 17,
} as const

/** A number of `BLOB_TYPES`, or one that this program does not know. */
export type BlobType = number

const NAMES: ReadonlyMap<BlobType, string> = new Map([
  [BLOB_TYPES.btreeNode, 'btree-node'],
  [BLOB_TYPES.btreeRoot, 'btree-root'],
  [BLOB_TYPES.chunk, 'chunk'],
  [BLOB_TYPES.errorBtree, 'error-btree'],
  [BLOB_TYPES.errorEntry, 'error-entry'],
  [BLOB_TYPES.errorNode, 'error-node'],
  [BLOB_TYPES.object, 'object'],
  [BLOB_TYPES.packfile, 'packfile'],
  [BLOB_TYPES.random, 'random'],
  [BLOB_TYPES.signature, 'signature'],
  [BLOB_TYPES.snapshot, 'snapshot'],
  [BLOB_TYPES.vfsBtree, 'vfs-btree'],
  [BLOB_TYPES.vfsEntry, 'vfs-entry'],
  [BLOB_TYPES.vfsNode, 'vfs-node'],
  [BLOB_TYPES.vfsSummary, 'vfs-summary'],
  [BLOB_TYPES.xattrBtree, 'xattr-btree'],
  [BLOB_TYPES.xattrEntry, 'xattr-entry'],
  [BLOB_TYPES.xattrNode, 'xattr-node'],
])

/** What names a blob in maps and sets. @param type or its name: one of the two throughout */
export function blobKey(type: BlobType | string, mac: string): string {
  return `${type} ${mac}`
}

/** kloset's name of a type, or `type 99` for one that has none here. */
export function blobTypeName(type: BlobType): string {
  return NAMES.get(type) ?? `type ${type}`
}
