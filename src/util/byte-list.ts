import {allocateRoomy} from './roomy.js'

const FIRST_BYTES = 32 * 1024

/** From here on room for more is taken at once: what is not used of it is no memory. */
const LARGE_BYTES = 1024 * 1024
const ROOM_BYTES = 16 * LARGE_BYTES

/** More than this is not kept for what comes next. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024

/** Bytes in one piece of memory that grows, and that is used again. */
export class ByteList {
  #bytes = Buffer.alloc(0)
  #length = 0

  /** What was added, without copying: good until more is. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  get length(): number {
    return this.#length
  }

  /** Begins anew. */
  clear(): void {
    if (this.#length > MAX_KEPT_BYTES) this.#bytes = Buffer.alloc(0)
    this.#length = 0
  }

  /** A copy of exact size, in memory of its own. */
  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes)
  }

  /** Makes room for bytes behind those that are there. @returns memory and where in it they go: what lies there is old */
  extend(count: number): {readonly at: number; readonly memory: Buffer} {
    const at = this.#length
    const length = at + count
    if (length > this.#bytes.length) {
      const wanted = Math.max(FIRST_BYTES, length, this.#bytes.length * 2)
      const larger = Buffer.from(allocateRoomy(wanted > LARGE_BYTES ? Math.max(wanted, ROOM_BYTES) : wanted))
      this.bytes.copy(larger)
      this.#bytes = larger
    }

    this.#length = length
    return {at, memory: this.#bytes}
  }
}
