/* eslint-disable no-bitwise -- hashing */
import {randomBytes} from 'node:crypto'

/** A MAC in words, which is how MACs are hashed and compared here: without a call into the engine. */
export const MAC_WORDS = 8

const MAX_LOAD = 0.75
const FIRST_SLOTS = 1024

/**
 * Multipliers of the hash, drawn anew in each process: nobody can prepare a store whose MACs all fall into one place.
 */
const MULTIPLIERS = Uint32Array.from({length: MAC_WORDS}, () => randomBytes(4).readUInt32LE() | 1)

/** A hash of the eight words at a place. @param salt tells apart equal MACs of different kinds */
export function hashWords(words: Uint32Array, at: number, salt: number): number {
  let hash = salt + 1
  for (let word = 0; word < MAC_WORDS; word++) {
    hash = Math.imul(hash ^ words[at + word]!, MULTIPLIERS[word]!)
    hash ^= hash >>> 15
  }

  return hash >>> 0
}

/** Whether eight words are the same. */
export function sameWords(a: Uint32Array, at: number, b: Uint32Array): boolean {
  for (let word = 0; word < MAC_WORDS; word++) if (a[at + word] !== b[word]) return false
  return true
}

/** A MAC's words, in an array that the next call uses again. */
export class WordReader {
  readonly #bytes: Buffer
  readonly #words = new Uint32Array(MAC_WORDS)

  constructor() {
    this.#bytes = Buffer.from(this.#words.buffer)
  }

  /** The words of the MAC at a place. */
  read(source: Buffer, at = 0): Uint32Array {
    source.copy(this.#bytes, 0, at, at + 4 * MAC_WORDS)
    return this.#words
  }
}

/**
 * Numbers under hashes, with open addressing: four bytes a slot and nothing else. What is equal the caller knows, who
 * walks from `first` on by `next` until `at` is -1. Nothing is ever taken out.
 */
export class HashIndex {
  #count = 0
  readonly #hashOf: (number: number) => number
  #mask = FIRST_SLOTS - 1
  /** Each number plus one; 0 is an empty slot. */
  #slots = new Uint32Array(FIRST_SLOTS)

  /** @param hashOf the hash of a number that was put in, asked again when the table grows */
  constructor(hashOf: (number: number) => number) {
    this.#hashOf = hashOf
  }

  get bytes(): number {
    return this.#slots.byteLength
  }

  at(slot: number): number {
    return this.#slots[slot]! - 1
  }

  first(hash: number): number {
    return hash & this.#mask
  }

  insert(hash: number, number: number): void {
    if (this.#count >= this.#slots.length * MAX_LOAD) this.#grow()
    this.#place(hash, number)
    this.#count += 1
  }

  next(slot: number): number {
    return (slot + 1) & this.#mask
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(old.length * 2)
    this.#mask = this.#slots.length - 1
    for (const entry of old) if (entry > 0) this.#place(this.#hashOf(entry - 1), entry - 1)
  }

  #place(hash: number, number: number): void {
    let slot = this.first(hash)
    while (this.#slots[slot]! > 0) slot = this.next(slot)
    this.#slots[slot] = number + 1
  }
}
