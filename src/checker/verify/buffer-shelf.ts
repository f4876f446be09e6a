const MIB = 1024 * 1024

/** Memory that is given and kept at the same time: beyond that nothing is kept for the next packfile. */
const KEPT_BYTES = 192 * MIB

/** Memory that a packfile may get beyond its size. */
const SLACK_BYTES = 8 * MIB

/** Memory for whole packfiles, used again and again: fresh memory costs as much as reading a packfile into it. */
export class BufferShelf {
  /** Of all buffers that are free. */
  #bytes = 0
  readonly #free: ArrayBuffer[] = []
  /** Of all buffers that are in use; those of a thread that died never come back. */
  #given = 0

  /** Lets go of everything. */
  clear(): void {
    this.#free.length = 0
    this.#bytes = 0
  }

  give(buffer: ArrayBuffer): void {
    this.#given = Math.max(0, this.#given - buffer.byteLength)
    if (this.#given + this.#bytes + buffer.byteLength > KEPT_BYTES) return
    this.#bytes += buffer.byteLength
    this.#free.push(buffer)
  }

  /** A buffer of `size` bytes at the beginning of its memory; what is in it is left from others. */
  take(size: number): Buffer {
    const at = this.#free.findIndex(({byteLength}) => byteLength >= size && byteLength <= size + SLACK_BYTES)
    if (at === -1) {
      this.#given += size
      while (this.#free.length > 0 && this.#given + this.#bytes > KEPT_BYTES)
        this.#bytes -= this.#free.shift()!.byteLength
      return Buffer.allocUnsafeSlow(size)
    }

    const [buffer] = this.#free.splice(at, 1)
    this.#bytes -= buffer!.byteLength
    this.#given += buffer!.byteLength
    return Buffer.from(buffer!, 0, size)
  }
}
