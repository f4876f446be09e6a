import {encode} from '@msgpack/msgpack'
import {createHash} from 'node:crypto'

import type {Mac} from '../../../../src/kloset/mac.js'

import {NotFoundError} from '../../../../src/errors.js'
import {type BlobType, blobTypeName} from '../../../../src/kloset/blob-type.js'
import {type BlobReader, type Compare} from '../../../../src/kloset/snapshot/index.js'

/** Blobs that a test makes, under the SHA-256 of their content. */
export class BlobBox {
  readonly read: BlobReader = async (type, mac) => {
    this.reads.set(mac, (this.reads.get(mac) ?? 0) + 1)
    const content = this.#blobs.get(`${type} ${mac}`)
    if (!content) throw new NotFoundError(`no ${blobTypeName(type)} ${mac}`)
    return content
  }
  /** How often each blob was read. */
  readonly reads = new Map<Mac, number>()

  readonly #blobs = new Map<string, Buffer>()

  put(type: BlobType, value: unknown, mac?: Mac): Mac {
    const content = Buffer.from(encode(value))
    const name = mac ?? (createHash('sha256').update(`${type}`).update(content).digest('hex') as Mac)
    this.#blobs.set(`${type} ${name}`, content)
    return name
  }

  remove(type: BlobType, mac: Mac): void {
    this.#blobs.delete(`${type} ${mac}`)
  }

  /** A tree of the given entries, with `order` keys a node at most, as kloset lays one out. */
  tree(entries: ReadonlyMap<string, Mac>, options: TreeOptions): Mac {
    const {compare, nodeType, order = 4, rootType} = options
    const keys = [...entries.keys()].sort(compare)
    let level: {readonly first: string; readonly mac: Mac}[] = []
    for (let at = 0; at < Math.max(1, keys.length); at += order) {
      const part = keys.slice(at, at + order)
      const values = part.map((key) => bytesOf(entries.get(key)!))
      level.push({first: part[0] ?? '', mac: this.put(nodeType, {keys: part, pointers: null, values, version: 0})})
    }

    while (level.length > 1) {
      const above: typeof level = []
      for (let at = 0; at < level.length; at += order + 1) {
        const part = level.slice(at, at + order + 1)
        const mac = this.put(nodeType, {
          keys: part.slice(1).map(({first}) => first),
          pointers: part.map((child) => bytesOf(child.mac)),
          values: null,
          version: 0,
        })
        above.push({first: part[0]!.first, mac})
      }

      level = above
    }

    return this.put(rootType, {Count: 0, Order: order, Root: bytesOf(level[0]!.mac), Version: 0})
  }
}

export interface TreeOptions {
  readonly compare: Compare
  readonly nodeType: BlobType
  readonly order?: number
  readonly rootType: BlobType
}

export function bytesOf(mac: Mac): Buffer {
  return Buffer.from(mac, 'hex')
}
