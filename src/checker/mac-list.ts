import {type Mac, MAC_BYTES, macFromBytes, macToBytes} from '../kloset/mac.js'

const CHUNK_MACS = 4096

/** MACs in the order they came, at 32 bytes each: a state may know a million packfiles. */
export class MacList implements Iterable<Mac> {
  readonly #chunks: Buffer[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  add(mac: Mac): void {
    const at = this.#size % CHUNK_MACS
    if (at === 0) this.#chunks.push(Buffer.alloc(CHUNK_MACS * MAC_BYTES))
    macToBytes(mac).copy(this.#chunks.at(-1)!, at * MAC_BYTES)
    this.#size += 1
  }

  *[Symbol.iterator](): Generator<Mac> {
    for (let index = 0; index < this.#size; index++) {
      const at = (index % CHUNK_MACS) * MAC_BYTES
      yield macFromBytes(this.#chunks[Math.floor(index / CHUNK_MACS)]!.subarray(at, at + MAC_BYTES))
    }
  }
}
