import {type Mac, MAC_BYTES, macFromBytes, macToBytes} from '../kloset/mac.js'

const CHUNK_MACS = 4096

/** The entries of folders in the order they came, at 32 bytes each. */
export class FolderList {
  readonly #chunks: Buffer[] = []
  #size = 0

  add(entry: Mac): void {
    const at = this.#size % CHUNK_MACS
    if (at === 0) this.#chunks.push(Buffer.alloc(CHUNK_MACS * MAC_BYTES))
    macToBytes(entry).copy(this.#chunks.at(-1)!, at * MAC_BYTES)
    this.#size += 1
  }

  *newestFirst(): Generator<Mac> {
    for (let number = this.#size - 1; number >= 0; number--) {
      const at = (number % CHUNK_MACS) * MAC_BYTES
      yield macFromBytes(this.#chunks[Math.floor(number / CHUNK_MACS)]!.subarray(at, at + MAC_BYTES))
    }
  }
}
