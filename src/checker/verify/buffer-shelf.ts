import {allocateRoomy} from '../../util/roomy.js'

const MIB = 1024 * 1024

/** Memory that is given and kept at the same time: beyond that nothing is kept for the next packfile. */
const MAX_BYTES = 192 * MIB

/** Of what is kept. More only where as much is given: sizes that nobody asks for again are not to gather. */
const KEPT_BYTES = 32 * MIB

/** Memory that a packfile may get beyond its size. */
const SLACK_BYTES = 8 * MIB

interface Free {
  readonly buffer: ArrayBuffer
  /** Bytes of the packfile that it had: the rest of it is no memory. */
  readonly bytes: number
}

/** Memory for whole packfiles, used again and again: fresh memory costs as much as reading a packfile into it. */
export class BufferShelf {
  /** Of all that are free. */
  #bytes = 0
  readonly #free: Free[] = []
  /** Of all that are in use; those of a thread that died never come back. */
  #given = 0

  /** Lets go of everything. */
  clear(): void {
    this.#free.length = 0
    this.#bytes = 0
  }

  /** @param bytes of the packfile that was in it */
  give(buffer: ArrayBuffer, bytes: number): void {
    this.#given = Math.max(0, this.#given - bytes)
    const kept = this.#bytes + bytes
    if (this.#given + kept > MAX_BYTES || kept > Math.max(this.#given, KEPT_BYTES)) return
    this.#bytes = kept
    this.#free.push({buffer, bytes})
  }

  /** A buffer of `size` bytes at the beginning of its memory; what is in it is left from others. */
  take(size: number): Buffer {
    this.#given += size
    const at = this.#free.findIndex(({buffer, bytes}) => buffer.byteLength >= size && bytes <= size + SLACK_BYTES)
    if (at !== -1) {
      const [{buffer, bytes}] = this.#free.splice(at, 1) as [Free]
      this.#bytes -= bytes
      return Buffer.from(buffer, 0, size)
    }

    while (this.#free.length > 0 && this.#given + this.#bytes > MAX_BYTES) this.#bytes -= this.#free.shift()!.bytes
    return Buffer.from(allocateRoomy(size), 0, size)
  }
}
