import type {Mac} from '../mac.js'

import {IntegrityError, NotFoundError, StoreFormatError} from '../../errors.js'
import {BLOB_TYPES} from '../blob-type.js'
import {type BlobReader, Tree} from './btree.js'
import {decodeEntry, type Entry, isDirectory} from './entry.js'
import {attributeKey, type BackupError, decodeAttribute, decodeBackupError, type ExtendedAttribute} from './extras.js'
import {type Roots} from './header.js'
import {decodeObject, type FileObject} from './object.js'
import {cleanPath, compareBytes, comparePaths} from './path.js'

/**
 * The files of one source of a snapshot. Everything is read when it is asked for; what the reader gives is taken to be
 * checked against its MAC.
 * @see kloset snapshot/vfs/vfs.go
 */
export class Filesystem {
  readonly #read: BlobReader
  readonly #roots: Roots
  readonly #tree: Tree

  private constructor(read: BlobReader, roots: Roots, tree: Tree) {
    this.#read = read
    this.#roots = roots
    this.#tree = tree
  }

  /** @throws StoreFormatError when there is no tree, and whatever the reader throws */
  static async open(read: BlobReader, roots: Roots): Promise<Filesystem> {
    if (!roots.root) throw new StoreFormatError('the snapshot names no tree of files')
    return new Filesystem(read, roots, await openFiles(read, roots.root))
  }

  /** The tree of paths and the MACs of their entries. */
  get tree(): Tree {
    return this.#tree
  }

  /** The extended attributes of an entry that are in the snapshot. */
  async *attributes({extendedAttributes, path}: Entry): AsyncGenerator<ExtendedAttribute> {
    if (extendedAttributes.length === 0 || !this.#roots.xattrs) return
    const tree = await openAttributes(this.#read, this.#roots.xattrs)
    for (const name of extendedAttributes) {
      // Before kloset 1.1.3 a file's path was the whole key: of several attributes one was kept.
      const mac = (await tree.find(attributeKey(path, name))) ?? (await tree.find(path))
      const attribute = mac && decodeAttribute(await this.#read(BLOB_TYPES.xattrEntry, mac), `xattr-entry ${mac}`)
      if (attribute?.name === name) yield attribute
    }
  }

  /**
   * What lies in a folder, in the order of its names' bytes.
   * @throws NotFoundError when there is no such folder, StoreFormatError, and whatever the reader throws
   */
  async *children(path: string): AsyncGenerator<Entry> {
    const clean = cleanPath(path)
    const folder = await this.lookup(clean)
    if (!isDirectory(folder)) throw new NotFoundError(`${clean} is not a folder`, {facts: {path: clean}})
    const prefix = clean === '/' ? '/' : `${clean}/`
    for await (const {key, value} of this.#tree.entries(prefix)) {
      // The root itself begins with its own prefix.
      if (key === prefix) continue
      if (!key.startsWith(prefix) || key.includes('/', prefix.length)) return
      yield this.entry(value, key)
    }
  }

  /**
   * The content of a file, chunk by chunk, each of the length that the object says.
   * @throws IntegrityError when a chunk has another length, and whatever the reader throws
   */
  async *content({chunks}: FileObject): AsyncGenerator<Buffer> {
    for (const {length, mac} of chunks) {
      const content = await this.#read(BLOB_TYPES.chunk, mac)
      if (content.length !== length) {
        throw new IntegrityError(`chunk ${mac} has ${content.length} bytes, its object says ${length}`, {
          facts: {actualSize: content.length, blob: mac, expectedSize: length},
        })
      }

      yield content
    }
  }

  /** Every entry: folders before what they hold, by depth and then by bytes, with one pass over the tree. */
  async *entries(): AsyncGenerator<Entry> {
    for await (const {key, value} of this.#tree.entries()) yield this.entry(value, key)
  }

  /**
   * An entry by its MAC.
   * @param path where the tree has it: it has to say the same
   */
  async entry(mac: Mac, path?: string): Promise<Entry> {
    return readEntry(this.#read, mac, path)
  }

  /** What could not be backed up. */
  async *errors(): AsyncGenerator<BackupError> {
    if (!this.#roots.errors) return
    for await (const {value} of (await openErrors(this.#read, this.#roots.errors)).entries()) {
      yield decodeBackupError(await this.#read(BLOB_TYPES.errorEntry, value), `error-entry ${value}`)
    }
  }

  /** @throws NotFoundError when the snapshot has no such path. Symbolic links are not followed. */
  async lookup(path: string): Promise<Entry> {
    const clean = cleanPath(path)
    const mac = await this.#tree.find(clean)
    if (mac) return this.entry(mac, clean)
    throw notInSnapshot(clean)
  }

  /** The object that holds an entry's content; undefined for what has none. */
  async object({object}: Pick<Entry, 'object'>): Promise<FileObject | undefined> {
    return object && decodeObject(await this.#read(BLOB_TYPES.object, object), `object ${object}`)
  }

  /**
   * An entry and everything below it, a folder's files right after the folder.
   * @throws NotFoundError, StoreFormatError, and whatever the reader throws
   */
  async *walk(path = '/'): AsyncGenerator<Entry> {
    const start = await this.lookup(path)
    yield start
    const open = isDirectory(start) ? [this.children(start.path)] : []
    for (let folder = open.at(-1); folder; folder = open.at(-1)) {
      const {done, value} = await folder.next()
      if (done) {
        open.pop()
        continue
      }

      yield value
      if (isDirectory(value)) open.push(this.children(value.path))
    }
  }
}

export function notInSnapshot(path: string): NotFoundError {
  return new NotFoundError(`no ${JSON.stringify(path)} in the snapshot`, {
    facts: {path},
    suggestions: ['`snapshot tree` shows what is there.'],
  })
}

/** An entry, which has to be of the path that the tree has it at. @throws StoreFormatError, and what the reader throws */
export async function readEntry(read: BlobReader, mac: Mac, path?: string): Promise<Entry> {
  const entry = decodeEntry(await read(BLOB_TYPES.vfsEntry, mac), `vfs-entry ${mac}`)
  if (path === undefined || path === entry.path) return entry
  const [actual, expected] = [entry.path, path].map((one) => JSON.stringify(one))
  throw new StoreFormatError(`vfs-entry ${mac} is of ${actual}, the tree has it at ${expected}`)
}

export async function openAttributes(read: BlobReader, root: Mac): Promise<Tree> {
  return Tree.open(read, {
    compare: comparePaths,
    nodeType: BLOB_TYPES.xattrNode,
    root,
    rootType: BLOB_TYPES.xattrBtree,
  })
}

export async function openErrors(read: BlobReader, root: Mac): Promise<Tree> {
  return Tree.open(read, {
    compare: compareBytes,
    nodeType: BLOB_TYPES.errorNode,
    root,
    rootType: BLOB_TYPES.errorBtree,
  })
}

/** One of the trees beside the files: `dirpack`, `content-type`, `summary`. */
export async function openIndex(read: BlobReader, root: Mac): Promise<Tree> {
  return Tree.open(read, {
    compare: compareBytes,
    nodeType: BLOB_TYPES.btreeNode,
    root,
    rootType: BLOB_TYPES.btreeRoot,
  })
}

export async function openFiles(read: BlobReader, root: Mac): Promise<Tree> {
  return Tree.open(read, {compare: comparePaths, nodeType: BLOB_TYPES.vfsNode, root, rootType: BLOB_TYPES.vfsBtree})
}
