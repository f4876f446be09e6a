import {createHash} from 'node:crypto'

import type {Digest} from '../registry/digest.js'

import {macFromBytes, macToBytes} from '../kloset/mac.js'
import {CONFIG_TAG, meaningOf, type Resource, RESOURCES, tagOf} from '../kloset/resource.js'
import {encodedOf} from '../registry/digest.js'
import {type Subject} from './context.js'
import {KeyTable} from './key-table.js'

const KIND_CONFIG = 0
const KIND_FOREIGN = 255
const KEY_BYTES = 33
const DIGEST_BYTES = 32

/** What is noted of a tag, as bits. */
export const TAG_FLAGS = {
  /** Nothing is left under it: its removal was cut off, and it counts as removed. */
  emptied: 16,
  /** Was in a listing, and is in none any more. */
  gone: 4,
  /** In the listing that is being read. */
  listed: 2,
  /** Something was wrong at the first look: it is looked at again before it is said. */
  suspect: 1,
  /** An error was said of it. */
  told: 8,
} as const

/** Every tag that was listed, compactly: a store of a million objects is checked in little memory. */
export class TagTable {
  readonly #keys = new KeyTable(KEY_BYTES)

  get size(): number {
    return this.#keys.size
  }

  /** @returns the tag's number, and whether it is new */
  add(tag: string): {readonly index: number; readonly isNew: boolean} {
    return this.#keys.add(keyOf(tag))
  }

  has(index: number, flag: number): boolean {
    return Math.floor(this.#keys.flags(index) / flag) % 2 === 1
  }

  hasTag(tag: string): boolean {
    return this.#keys.has(keyOf(tag))
  }

  indexOf(tag: string): number | undefined {
    return this.#keys.indexOf(keyOf(tag))
  }

  /** Whether nothing is left under a tag: its removal was cut off. */
  isEmptied(tag: string): boolean {
    const index = this.indexOf(tag)
    return index !== undefined && this.has(index, TAG_FLAGS.emptied)
  }

  /** Whether there is such a tag, with an object under it as far as anybody has looked. */
  isListed(tag: string): boolean {
    const index = this.indexOf(tag)
    return index !== undefined && !this.has(index, TAG_FLAGS.emptied)
  }

  set(index: number, flag: number, value: boolean): void {
    if (this.has(index, flag) === value) return
    this.#keys.setFlags(index, this.#keys.flags(index) + (value ? flag : -flag))
  }

  /** The object behind a number; undefined for a foreign tag, whose name is not kept. */
  subject(index: number): Subject | undefined {
    const key = this.#keys.key(index)
    const kind = key[0]!
    if (kind === KIND_CONFIG) return {resource: 'config', tag: CONFIG_TAG}
    const resource = RESOURCES[kind - 1]
    if (resource === undefined) return undefined
    const mac = macFromBytes(key.subarray(1))
    return {mac, resource, tag: tagOf(resource, mac)}
  }

  /** Every object of a kind. */
  *subjects(resource: Resource): Generator<Subject> {
    for (let index = 0; index < this.size; index++) {
      const subject = this.subject(index)
      if (subject?.resource === resource) yield subject
    }
  }
}

function keyOf(tag: string): Buffer {
  const key = Buffer.alloc(KEY_BYTES)
  const meaning = meaningOf(tag)
  switch (meaning.kind) {
    case 'config': {
      key[0] = KIND_CONFIG
      break
    }

    case 'foreign': {
      key[0] = KIND_FOREIGN
      createHash('sha256').update(tag).digest().copy(key, 1)
      break
    }

    case 'object': {
      key[0] = RESOURCES.indexOf(meaning.resource) + 1
      macToBytes(meaning.mac).copy(key, 1)
      break
    }

    default: {
      throw new TypeError(`unknown meaning ${String(meaning satisfies never)}`)
    }
  }

  return key
}

/** A set of digests, numbered in the order they came. */
export class DigestTable {
  readonly #keys = new KeyTable(DIGEST_BYTES)

  get size(): number {
    return this.#keys.size
  }

  add(digest: Digest): {readonly index: number; readonly isNew: boolean} {
    return this.#keys.add(digestKey(digest))
  }

  has(digest: Digest): boolean {
    return this.#keys.has(digestKey(digest))
  }
}

/** The first 32 bytes are as good as all of a sha512. */
function digestKey(digest: Digest): Buffer {
  return Buffer.from(encodedOf(digest).slice(0, DIGEST_BYTES * 2), 'hex')
}
