import type {BlobType} from '../../kloset/blob-type.js'
import type {Mac} from '../../kloset/mac.js'

import {BLOB_TYPES, blobTypeName} from '../../kloset/blob-type.js'
import {MAC_BYTES, macFromBytes, macToBytes} from '../../kloset/mac.js'
import {
  compareBytes,
  comparePaths,
  decodeAttribute,
  decodeEntry,
  decodeHeader,
  decodeNode,
  decodeObject,
  decodeTreeRoot,
} from '../../kloset/snapshot/index.js'
import {ByteList} from '../../util/byte-list.js'

/** A reference: the type of a blob and its MAC. */
export const REFERENCE_BYTES = 1 + MAC_BYTES

/** Stands for the type of a reference whose tree is not known here: what an index of a snapshot names. */
export const INDEXED = 0

/** What the values of a snapshot's indexes may be. @see kloset snapshot/backup.go, the trees beside the files */
export const INDEXED_TYPES = [BLOB_TYPES.vfsEntry, BLOB_TYPES.object, BLOB_TYPES.vfsSummary] as const

/** References one after another in one piece of memory. */
export class ReferenceList extends ByteList {
  get count(): number {
    return this.length / REFERENCE_BYTES
  }

  add(type: BlobType | typeof INDEXED, mac: Mac): void {
    const {at, memory} = this.extend(REFERENCE_BYTES)
    memory[at] = type
    memory.write(mac, at + 1, 'hex')
  }
}

/** What a `ReferenceList` holds. */
export function* referencesIn(bytes: Uint8Array): Generator<{readonly mac: Mac; readonly type: BlobType}> {
  const list = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < list.length; at += REFERENCE_BYTES) {
    yield {mac: macFromBytes(list.subarray(at + 1, at + REFERENCE_BYTES)), type: list[at]!}
  }
}

/** The part of a `ReferenceList` that names a blob, copied. */
export function referenceTo(mac: Mac, bytes: Uint8Array): Uint8Array | undefined {
  const wanted = macToBytes(mac)
  for (let at = 0; at < bytes.length; at += REFERENCE_BYTES) {
    if (wanted.compare(bytes, at + 1, at + REFERENCE_BYTES) === 0) return bytes.slice(at, at + REFERENCE_BYTES)
  }

  return undefined
}

/** A node of a tree, by its type: what its values are and in which order its keys come. */
const NODES = new Map<
  BlobType,
  {readonly compare: (a: string, b: string) => number; readonly values: BlobType | typeof INDEXED}
>([
  [BLOB_TYPES.btreeNode, {compare: compareBytes, values: INDEXED}],
  [BLOB_TYPES.errorNode, {compare: compareBytes, values: BLOB_TYPES.errorEntry}],
  [BLOB_TYPES.vfsNode, {compare: comparePaths, values: BLOB_TYPES.vfsEntry}],
  [BLOB_TYPES.xattrNode, {compare: comparePaths, values: BLOB_TYPES.xattrEntry}],
])

const ROOTS = new Map<BlobType, BlobType>([
  [BLOB_TYPES.btreeRoot, BLOB_TYPES.btreeNode],
  [BLOB_TYPES.errorBtree, BLOB_TYPES.errorNode],
  [BLOB_TYPES.vfsBtree, BLOB_TYPES.vfsNode],
  [BLOB_TYPES.xattrBtree, BLOB_TYPES.xattrNode],
])

/**
 * Decodes a blob that is a part of a snapshot's structure, and notes what it refers to. Others pass.
 * @throws StoreFormatError | VersionError when it is not what its type says
 */
export function noteReferences(type: BlobType, mac: Mac, content: Buffer, list: ReferenceList): void {
  const node = NODES.get(type)
  if (node) {
    const {pointers, values} = decodeNode(content, nameOf(type, mac), node.compare)
    for (const pointer of pointers) list.add(type, pointer)
    for (const value of values) list.add(node.values, value)
    return
  }

  const below = ROOTS.get(type)
  if (below !== undefined) {
    list.add(below, decodeTreeRoot(content, nameOf(type, mac)))
    return
  }

  switch (type) {
    case BLOB_TYPES.object: {
      for (const chunk of decodeObject(content, nameOf(type, mac)).chunks) list.add(BLOB_TYPES.chunk, chunk.mac)
      break
    }

    case BLOB_TYPES.snapshot: {
      for (const {indexes, vfs} of decodeHeader(content, mac).sources) {
        if (vfs.root) list.add(BLOB_TYPES.vfsBtree, vfs.root)
        if (vfs.errors) list.add(BLOB_TYPES.errorBtree, vfs.errors)
        if (vfs.xattrs) list.add(BLOB_TYPES.xattrBtree, vfs.xattrs)
        for (const {value} of indexes) if (value) list.add(BLOB_TYPES.btreeRoot, value)
      }

      break
    }

    case BLOB_TYPES.vfsEntry: {
      const {object} = decodeEntry(content, nameOf(type, mac))
      if (object) list.add(BLOB_TYPES.object, object)
      break
    }

    case BLOB_TYPES.xattrEntry: {
      const {object} = decodeAttribute(content, nameOf(type, mac))
      if (object) list.add(BLOB_TYPES.object, object)
      break
    }

    default: {
      break
    }
  }
}

function nameOf(type: BlobType, mac: Mac): string {
  return `${blobTypeName(type)} ${mac}`
}
