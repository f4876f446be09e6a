import type {BlobType} from '../blob-type.js'
import type {Mac} from '../mac.js'
import type {BlobReader, Tree} from './btree.js'
import type {Source} from './header.js'
import type {Snapshot} from './snapshot.js'

import {BLOB_TYPES} from '../blob-type.js'
import {decodeAttribute} from './extras.js'
import {openAttributes, openErrors, openFiles, openIndex, readEntry} from './filesystem.js'
import {isSigned} from './header.js'
import {decodeObject} from './object.js'

/** A blob that a snapshot needs. */
export interface BlobReference {
  readonly mac: Mac
  /** The file that needs it; none for what belongs to the snapshot as a whole. */
  readonly path: string | undefined
  readonly type: BlobType
}

/** A blob that could not be read: what it refers to is not known. */
export interface BrokenReference extends BlobReference {
  /** Of a node of a tree: the first key that lies behind what is lost; none for the end. */
  readonly before?: string | undefined
  readonly error: unknown
  /** Of a node of a tree: the first key that may be lost; none for the beginning. */
  readonly from?: string | undefined
}

export interface ReferenceOptions {
  /** Takes what cannot be read, and the rest goes on. Without it the error is thrown. */
  readonly onBroken?: ((broken: BrokenReference) => void) | undefined
  /**
   * Asked before an entry, object or attribute is read for what it refers to: false leaves that out, when another
   * snapshot has had it already. The blob itself is yielded all the same.
   */
  readonly shouldRead?: ((type: BlobType, mac: Mac) => boolean) | undefined
}

type References = AsyncGenerator<BlobReference>

/** One of a snapshot's trees. */
interface TreeToWalk {
  readonly nodeType: BlobType
  readonly open: (read: BlobReader, root: Mac) => Promise<Tree>
  readonly root: Mac | undefined
  readonly rootType: BlobType
}

/**
 * Every blob that a snapshot needs, some of them more than once: what kloset's own walk for a snapshot's packfiles
 * names, and the content of extended attributes, which that leaves out.
 * @throws StoreFormatError, and whatever the reader throws, unless `onBroken` takes it
 * @see kloset snapshot/snapshot.go `ListPackfiles`
 */
export async function* snapshotReferences(snapshot: Snapshot, options: ReferenceOptions = {}): References {
  const {header, read} = snapshot
  yield {mac: header.identifier, path: undefined, type: BLOB_TYPES.snapshot}
  if (isSigned(header)) yield {mac: header.identifier, path: undefined, type: BLOB_TYPES.signature}
  const walker = new Walker(read, options)
  for (const source of header.sources) yield* walker.source(source)
}

class Walker {
  readonly #onBroken: ReferenceOptions['onBroken']
  readonly #read: BlobReader
  readonly #shouldRead: (type: BlobType, mac: Mac) => boolean

  constructor(read: BlobReader, {onBroken, shouldRead = () => true}: ReferenceOptions) {
    this.#onBroken = onBroken
    this.#read = read
    this.#shouldRead = shouldRead
  }

  async *source({indexes, vfs: {errors, root, xattrs}}: Source): References {
    const {btreeNode, btreeRoot, errorBtree, errorNode, vfsBtree, vfsNode, xattrBtree, xattrNode} = BLOB_TYPES
    const files = {nodeType: vfsNode, open: openFiles, root, rootType: vfsBtree}
    yield* this.#tree(files, (path, mac) => this.#entry(path, mac))
    const lost = {nodeType: errorNode, open: openErrors, root: errors, rootType: errorBtree}
    yield* this.#tree(lost, (path, mac) => only({mac, path, type: BLOB_TYPES.errorEntry}))
    const attributes = {nodeType: xattrNode, open: openAttributes, root: xattrs, rootType: xattrBtree}
    yield* this.#tree(attributes, (key, mac) => this.#attribute(key, mac))
    for (const {name, value} of indexes) {
      const index = {nodeType: btreeNode, open: openIndex, root: value, rootType: btreeRoot}
      yield* this.#tree(index, (key, mac) => this.#indexed(name, key, mac))
    }
  }

  async #attempt<T>(reference: BlobReference, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      if (!this.#onBroken) throw error
      this.#onBroken({...reference, error})
      return undefined
    }
  }

  async *#attribute(key: string, mac: Mac): References {
    const reference = {mac, path: key, type: BLOB_TYPES.xattrEntry}
    yield reference
    const attribute = await this.#decoded(reference, async () =>
      decodeAttribute(await this.#read(reference.type, mac), `xattr-entry ${mac}`),
    )
    if (attribute?.object) yield* this.#object(attribute.path, attribute.object)
  }

  /** Reads what a reference is to, unless that is not wanted or not possible. */
  async #decoded<T>(reference: BlobReference, decode: () => Promise<T>): Promise<T | undefined> {
    if (!this.#shouldRead(reference.type, reference.mac)) return undefined
    return this.#attempt(reference, decode)
  }

  async *#entry(path: string, mac: Mac): References {
    const reference = {mac, path, type: BLOB_TYPES.vfsEntry}
    yield reference
    const entry = await this.#decoded(reference, () => readEntry(this.#read, mac, path))
    if (entry?.object) yield* this.#object(path, entry.object)
  }

  /** What the values of the trees beside the files are, by the tree's name. The other trees name nothing new. */
  async *#indexed(name: string, key: string, mac: Mac): References {
    if (name === 'dirpack') yield* this.#object(key, mac)
    else if (name === 'summary') yield {mac, path: key, type: BLOB_TYPES.vfsSummary}
  }

  async *#object(path: string, mac: Mac): References {
    const reference = {mac, path, type: BLOB_TYPES.object}
    yield reference
    const object = await this.#decoded(reference, async () =>
      decodeObject(await this.#read(reference.type, mac), `object ${mac}`),
    )
    for (const chunk of object?.chunks ?? []) yield {mac: chunk.mac, path, type: BLOB_TYPES.chunk}
  }

  async *#tree({nodeType, open, root, rootType}: TreeToWalk, value: (key: string, mac: Mac) => References): References {
    if (!root) return
    const reference = {mac: root, path: undefined, type: rootType}
    yield reference
    const tree = await this.#attempt(reference, () => open(this.#read, root))
    if (!tree) return
    const onBroken =
      this.#onBroken &&
      ((broken: Omit<BrokenReference, 'path' | 'type'>) => {
        this.#onBroken?.({...broken, path: undefined, type: nodeType})
      })
    for await (const {mac, node} of tree.nodes(onBroken)) {
      yield {mac, path: undefined, type: nodeType}
      for (const [at, of] of node.values.entries()) yield* value(node.keys[at]!, of)
    }
  }
}

async function* only(reference: BlobReference): References {
  yield reference
}
