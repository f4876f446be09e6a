import {TemporaryFile, type TemporaryFileOptions} from './temporary-file.js'

export const BUCKETS = 256

/** Of each bucket so much is in memory. */
const BLOCK_BYTES = 16 * 1024

interface Bucket {
  /** Where its full blocks lie in the file. */
  readonly blocks: number[]
  readonly last: Buffer
  /** Bytes of the last block that are filled. */
  used: number
}

export type BucketsOptions = Pick<TemporaryFileOptions, 'dir'>

/**
 * Records of one length by the million, dealt out by their first byte, in the order in which they came. Four megabytes
 * of them are in memory, the rest in a temporary file.
 */
export class Buckets {
  readonly #blockBytes: number
  readonly #buckets: (Bucket | undefined)[] = Array.from({length: BUCKETS})
  readonly #file: TemporaryFile
  readonly #recordBytes: number

  constructor(recordBytes: number, {dir}: BucketsOptions = {}) {
    this.#blockBytes = Math.floor(BLOCK_BYTES / recordBytes) * recordBytes
    this.#file = new TemporaryFile({dir, suffix: 'buckets'})
    this.#recordBytes = recordBytes
  }

  /** Bytes that lie in the file. */
  get bytesOnDisk(): number {
    return this.#file.size
  }

  /** Takes a copy. @throws LocalIoError when the file cannot be written */
  add(record: Uint8Array): void {
    const number = record[0]!
    this.#buckets[number] ??= {blocks: [], last: Buffer.allocUnsafe(this.#blockBytes), used: 0}
    const bucket = this.#buckets[number]
    bucket.last.set(record, bucket.used)
    bucket.used += this.#recordBytes
    if (bucket.used < this.#blockBytes) return
    bucket.blocks.push(this.#file.append(bucket.last))
    bucket.used = 0
  }

  /** Lets go of everything. */
  dispose(): void {
    this.#buckets.length = 0
    this.#file.dispose()
  }

  /** The records of a bucket, each good until the next is asked for. @throws LocalIoError */
  *records(number: number): Generator<Buffer> {
    const bucket = this.#buckets[number]
    if (!bucket) return
    const block = Buffer.allocUnsafe(this.#blockBytes)
    for (const at of bucket.blocks) {
      this.#file.read(block, at)
      yield* this.#split(block)
    }

    yield* this.#split(bucket.last.subarray(0, bucket.used))
  }

  *#split(bytes: Buffer): Generator<Buffer> {
    for (let at = 0; at < bytes.length; at += this.#recordBytes) yield bytes.subarray(at, at + this.#recordBytes)
  }
}
