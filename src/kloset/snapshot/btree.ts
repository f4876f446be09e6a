import {LRUCache} from 'lru-cache'

import type {BlobType} from '../blob-type.js'
import type {Mac} from '../mac.js'

import {StoreFormatError} from '../../errors.js'
import {blobTypeName} from '../blob-type.js'
import {MsgpackReader} from './msgpack-reader.js'
import {list, mac, struct, texts, uint32} from './struct.js'

/** Gives a blob's content, checked against its MAC. @throws NotFoundError when no packfile has it */
export type BlobReader = (type: BlobType, mac: Mac) => Promise<Buffer>

/** Orders the keys of a tree. */
export type Compare = (a: string, b: string) => number

/** kloset's trees have 50 keys a node: with a hundred times as many files as there are atoms they are less deep. */
const MAX_DEPTH = 64

/** Nodes kept at hand: the way down to a leaf, and the leaves beside it. */
const CACHED_NODES = 64

/** A node: a leaf has values, another node pointers to nodes below it. */
export interface Node {
  readonly keys: readonly string[]
  readonly next: Mac | undefined
  readonly pointers: readonly Mac[]
  readonly values: readonly Mac[]
  readonly version: number
}

/** A node that could not be read, and the keys that it and what lies below it may have had. */
export interface BrokenNode {
  /** The first key behind it; none for the end of the tree. */
  readonly before: string | undefined
  readonly error: unknown
  /** The smallest key that it may have had; none for the beginning of the tree. */
  readonly from: string | undefined
  readonly mac: Mac
}

export interface TreeEntry {
  readonly key: string
  readonly value: Mac
}

export interface TreeOptions {
  readonly compare: Compare
  readonly nodeType: BlobType
  readonly root: Mac
  readonly rootType: BlobType
}

/** A node to be read: how deep it lies, and between which keys. */
interface Pending {
  readonly before: string | undefined
  readonly depth: number
  readonly from: string | undefined
  readonly mac: Mac
}

interface Root {
  readonly count: number
  readonly order: number
  readonly root: Mac | undefined
  readonly version: number
}

const requiredMac = (reader: MsgpackReader): Mac => reader.requiredMac()

// The root is written without names of its own: Go's field names are what stands there.
const readRoot = struct<Root>({
  count: uint32('Count'),
  order: uint32('Order'),
  root: mac('Root'),
  version: uint32('Version'),
})

const readNode = struct<Node>({
  keys: texts('keys'),
  next: mac('next'),
  pointers: list('pointers', requiredMac),
  values: list('values', requiredMac),
  version: uint32('version'),
})

/** @throws StoreFormatError when it is not a node, or its counts or the order of its keys are not those of one */
export function decodeNode(content: Buffer, what: string, compare: Compare): Node {
  const reader = new MsgpackReader(content, what)
  const node = readNode(reader)
  reader.end()
  const {keys, pointers, values} = node
  const sound = pointers.length === 0 ? values.length === keys.length : pointers.length === keys.length + 1
  if (!sound || (pointers.length > 0 && values.length > 0)) {
    throw new StoreFormatError(
      `${what} has ${keys.length} keys, ${pointers.length} pointers and ${values.length} values`,
    )
  }

  for (let at = 1; at < keys.length; at++) {
    if (compare(keys[at - 1]!, keys[at]!) >= 0) throw new StoreFormatError(`${what} has keys that are not in order`)
  }

  return node
}

/** The MAC of the node that a tree begins with. @throws StoreFormatError */
export function decodeTreeRoot(content: Buffer, what: string): Mac {
  const reader = new MsgpackReader(content, what)
  const {root} = readRoot(reader)
  reader.end()
  if (!root) throw new StoreFormatError(`${what} names no node`)
  return root
}

/**
 * A B+tree of a snapshot, read node by node as it is needed.
 * Keys rise strictly over the whole of it, so that no part can be gone through twice, however its nodes are linked.
 * @see kloset btree/btree.go
 */
export class Tree {
  readonly #cache = new LRUCache<Mac, Node>({max: CACHED_NODES})
  readonly #compare: Compare
  readonly #nodeType: BlobType
  readonly #read: BlobReader
  readonly #root: Mac

  private constructor(read: BlobReader, root: Mac, {compare, nodeType}: TreeOptions) {
    this.#compare = compare
    this.#nodeType = nodeType
    this.#read = read
    this.#root = root
  }

  /** @throws StoreFormatError, and whatever the reader throws */
  static async open(read: BlobReader, options: TreeOptions): Promise<Tree> {
    const {root, rootType} = options
    return new Tree(read, decodeTreeRoot(await read(rootType, root), nameOf(rootType, root)), options)
  }

  /**
   * Keys and values in order, from `from` on (default: all).
   * @param onBroken takes what cannot be read, and the walk goes on beside it; without it the error is thrown
   * @throws StoreFormatError, and whatever the reader throws
   */
  async *entries(from?: string, onBroken?: (broken: BrokenNode) => void): AsyncGenerator<TreeEntry> {
    let last: string | undefined
    for await (const {mac, node} of this.#walk(from, onBroken)) {
      for (const [at, key] of node.values.length > 0 ? node.keys.entries() : []) {
        if (last !== undefined && this.#compare(last, key) >= 0) {
          const error = this.#disordered(key)
          if (!onBroken) throw error
          onBroken({before: undefined, error, from: last, mac})
          return
        }

        last = key
        if (from === undefined || this.#compare(key, from) >= 0) yield {key, value: node.values[at]!}
      }
    }
  }

  /** @throws StoreFormatError, and whatever the reader throws */
  async find(key: string): Promise<Mac | undefined> {
    let mac = this.#root
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const node = await this.#node(mac)
      if (node.pointers.length === 0) {
        const at = firstNotBelow(node.keys, key, this.#compare)
        return node.keys[at] === key ? node.values[at] : undefined
      }

      mac = node.pointers[childFor(node.keys, key, this.#compare)]!
    }

    throw this.#tooDeep()
  }

  /**
   * Every node with its MAC, a node before those below it.
   * @param onBroken takes what cannot be read, and the walk goes on beside it; without it the error is thrown
   * @throws StoreFormatError, and whatever the reader throws
   */
  async *nodes(onBroken?: (broken: BrokenNode) => void): AsyncGenerator<{readonly mac: Mac; readonly node: Node}> {
    let last: string | undefined
    for await (const found of this.#walk(undefined, onBroken)) {
      const first = found.node.values.length > 0 ? found.node.keys[0] : undefined
      if (first !== undefined) {
        if (last !== undefined && this.#compare(last, first) >= 0) {
          const error = this.#disordered(first)
          if (!onBroken) throw error
          onBroken({before: undefined, error, from: last, mac: found.mac})
          return
        }

        last = found.node.keys.at(-1)
      }

      yield found
    }
  }

  #disordered(key: string): StoreFormatError {
    const what = blobTypeName(this.#nodeType)
    return new StoreFormatError(`${what}s below ${this.#root} are not in order at ${JSON.stringify(key)}`)
  }

  async #node(mac: Mac): Promise<Node> {
    const known = this.#cache.get(mac)
    if (known) return known
    const content = await this.#read(this.#nodeType, mac)
    const node = decodeNode(content, nameOf(this.#nodeType, mac), this.#compare)
    this.#cache.set(mac, node)
    return node
  }

  async #nodeAt({depth, mac}: Pending): Promise<Node> {
    if (depth >= MAX_DEPTH) throw this.#tooDeep()
    const node = await this.#node(mac)
    if (depth > 0 && node.keys.length === 0 && node.pointers.length === 0) {
      throw new StoreFormatError(`${nameOf(this.#nodeType, mac)} is empty`)
    }

    return node
  }

  #tooDeep(): StoreFormatError {
    return new StoreFormatError(`${blobTypeName(this.#nodeType)}s below ${this.#root} are more than ${MAX_DEPTH} deep`)
  }

  /** Nodes in order, without those that lie wholly before `from`. */
  async *#walk(
    from?: string,
    onBroken?: (broken: BrokenNode) => void,
  ): AsyncGenerator<{readonly mac: Mac; readonly node: Node}> {
    const pending: Pending[] = [{before: undefined, depth: 0, from: undefined, mac: this.#root}]
    for (let next = pending.pop(); next; next = pending.pop()) {
      let node: Node
      try {
        node = await this.#nodeAt(next)
      } catch (error) {
        if (!onBroken) throw error
        onBroken({before: next.before, error, from: next.from, mac: next.mac})
        continue
      }

      yield {mac: next.mac, node}
      const first = from === undefined ? 0 : childFor(node.keys, from, this.#compare)
      for (let at = node.pointers.length - 1; at >= first; at--) {
        pending.push({
          before: node.keys[at] ?? next.before,
          depth: next.depth + 1,
          from: node.keys[at - 1] ?? next.from,
          mac: node.pointers[at]!,
        })
      }
    }
  }
}

/** Which child holds a key: keys are the first of what lies to their right. */
function childFor(keys: readonly string[], key: string, compare: Compare): number {
  const at = firstNotBelow(keys, key, compare)
  return at < keys.length && compare(keys[at]!, key) === 0 ? at + 1 : at
}

function firstNotBelow(keys: readonly string[], key: string, compare: Compare): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (compare(keys[middle]!, key) < 0) low = middle + 1
    else high = middle
  }

  return low
}

function nameOf(type: BlobType, mac: Mac): string {
  return `${blobTypeName(type)} ${mac}`
}
