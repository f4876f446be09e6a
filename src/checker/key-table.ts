/** Slots filled before the table grows. */
const MAX_LOAD = 0.6
const FIRST_CAPACITY = 1024

/**
 * A set of byte keys of one length, numbered in the order they came, with a byte of flags each. It holds a million tags
 * in some 50 MB, where a Map of strings takes several times that.
 */
export class KeyTable {
  #count = 0
  #flags = new Uint8Array(FIRST_CAPACITY)
  readonly #keyBytes: number
  #keys: Buffer
  /** Number of the key in a slot, plus one. */
  #slots = new Uint32Array(FIRST_CAPACITY * 2)

  constructor(keyBytes: number) {
    this.#keyBytes = keyBytes
    this.#keys = Buffer.alloc(FIRST_CAPACITY * keyBytes)
  }

  get size(): number {
    return this.#count
  }

  /** @returns the key's number, and whether it is new */
  add(key: Uint8Array): {readonly index: number; readonly isNew: boolean} {
    const slot = this.#find(key)
    const known = this.#slots[slot]!
    if (known > 0) return {index: known - 1, isNew: false}
    const index = this.#count
    this.#count += 1
    this.#reserve()
    this.#keys.set(key, index * this.#keyBytes)
    this.#slots[this.#find(key)] = index + 1
    return {index, isNew: true}
  }

  flags(index: number): number {
    return this.#flags[index] ?? 0
  }

  has(key: Uint8Array): boolean {
    return this.indexOf(key) !== undefined
  }

  indexOf(key: Uint8Array): number | undefined {
    const known = this.#slots[this.#find(key)]!
    return known > 0 ? known - 1 : undefined
  }

  /** The key with a number; a view, not to be changed. */
  key(index: number): Buffer {
    return this.#keys.subarray(index * this.#keyBytes, (index + 1) * this.#keyBytes)
  }

  setFlags(index: number, flags: number): void {
    this.#flags[index] = flags
  }

  /** The slot of a key, or the empty one where it belongs. */
  #find(key: Uint8Array): number {
    const mask = this.#slots.length
    let slot = hashOf(key) % mask
    for (;;) {
      const known = this.#slots[slot]!
      if (known === 0 || this.key(known - 1).equals(key)) return slot
      slot = (slot + 1) % mask
    }
  }

  #reserve(): void {
    if (this.#count > this.#flags.length) {
      const flags = new Uint8Array(this.#flags.length * 2)
      flags.set(this.#flags)
      this.#flags = flags
      const keys = Buffer.alloc(this.#keys.length * 2)
      keys.set(this.#keys)
      this.#keys = keys
    }

    if (this.#count <= this.#slots.length * MAX_LOAD) return
    this.#slots = new Uint32Array(this.#slots.length * 2)
    for (let index = 0; index < this.#count - 1; index++) this.#slots[this.#find(this.key(index))] = index + 1
  }
}

/** FNV-1a over the whole key: MACs and digests are random, and a hostile registry must not choose the slots by a prefix. */
function hashOf(key: Uint8Array): number {
  let hash = 0x81_1c_9d_c5
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01_00_01_93) // eslint-disable-line no-bitwise -- a hash
  return hash >>> 0 // eslint-disable-line no-bitwise -- to unsigned
}
