/** Bytes that came in slices and are taken in other ones, joined only when a taken piece spans more than one. */
export class ByteQueue {
  #length = 0
  #slices: Buffer[] = []

  get length(): number {
    return this.#length
  }

  /** The next `size` bytes without taking them. */
  peek(size: number): Buffer | undefined {
    if (this.#length < size) return undefined
    if (size === 0) return Buffer.alloc(0)
    if (this.#slices[0]!.length < size) this.#join(size)
    return this.#slices[0]!.subarray(0, size)
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#slices.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    this.#length += bytes.length
  }

  /** The next `size` bytes, or undefined while there are fewer. */
  take(size: number): Buffer | undefined {
    const bytes = this.peek(size)
    if (bytes) this.#drop(size)
    return bytes
  }

  #drop(size: number): void {
    this.#length -= size
    const first = this.#slices[0]
    if (!first) return
    if (first.length === size) this.#slices.shift()
    else this.#slices[0] = first.subarray(size)
  }

  /** Makes the first slice at least `size` bytes long. */
  #join(size: number): void {
    let count = 0
    for (let joined = 0; joined < size; count++) joined += this.#slices[count]!.length
    this.#slices.splice(0, count, Buffer.concat(this.#slices.slice(0, count)))
  }
}
