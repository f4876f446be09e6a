import {randomBytes} from 'node:crypto'
import {closeSync, openSync, readSync, rmSync, writeSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {LocalIoError} from '../errors.js'
import {localIoError} from './fs-error.js'

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

export interface BucketsOptions {
  /** Where the file is made, default the system's folder for temporary ones. */
  readonly dir?: string | undefined
}

/**
 * Records of one length by the million, dealt out by their first byte, in the order in which they came. Four megabytes
 * of them are in memory, the rest in a file that has no name any more once it is open (where the system allows).
 * Writing is at once and not later: who adds a record need not wait, and no queue grows.
 */
export class Buckets {
  readonly #blockBytes: number
  readonly #buckets: (Bucket | undefined)[] = Array.from({length: BUCKETS})
  readonly #dir: string
  #end = 0
  #file: undefined | {readonly descriptor: number; readonly path: string | undefined}
  readonly #recordBytes: number

  constructor(recordBytes: number, {dir = tmpdir()}: BucketsOptions = {}) {
    this.#blockBytes = Math.floor(BLOCK_BYTES / recordBytes) * recordBytes
    this.#dir = dir
    this.#recordBytes = recordBytes
  }

  /** Bytes that lie in the file. */
  get bytesOnDisk(): number {
    return this.#end
  }

  /** Takes a copy. @throws LocalIoError when the file cannot be written */
  add(record: Uint8Array): void {
    const number = record[0]!
    this.#buckets[number] ??= {blocks: [], last: Buffer.allocUnsafe(this.#blockBytes), used: 0}
    const bucket = this.#buckets[number]
    bucket.last.set(record, bucket.used)
    bucket.used += this.#recordBytes
    if (bucket.used === this.#blockBytes) this.#flush(bucket)
  }

  /** Lets go of everything. */
  dispose(): void {
    this.#buckets.length = 0
    if (!this.#file) return
    const {descriptor, path} = this.#file
    this.#file = undefined
    closeSync(descriptor)
    if (path !== undefined) rmSync(path, {force: true})
  }

  /** The records of a bucket, each good until the next is asked for. @throws LocalIoError */
  *records(number: number): Generator<Buffer> {
    const bucket = this.#buckets[number]
    if (!bucket) return
    const block = Buffer.allocUnsafe(this.#blockBytes)
    for (const at of bucket.blocks) {
      this.#read(block, at)
      yield* this.#split(block)
    }

    yield* this.#split(bucket.last.subarray(0, bucket.used))
  }

  #flush(bucket: Bucket): void {
    try {
      this.#file ??= create(this.#dir)
      for (let done = 0; done < this.#blockBytes;) {
        done += writeSync(this.#file.descriptor, bucket.last, done, this.#blockBytes - done, this.#end + done)
      }
    } catch (error) {
      // The file has no name by then: the folder is what can be helped.
      throw localIoError(error, 'write a temporary file in', this.#dir, [
        'Or set TMPDIR to a folder that has room for it.',
      ])
    }

    bucket.blocks.push(this.#end)
    bucket.used = 0
    this.#end += this.#blockBytes
  }

  #read(block: Buffer, at: number): void {
    try {
      for (let done = 0; done < block.length;) {
        const count = readSync(this.#file!.descriptor, block, done, block.length - done, at + done)
        if (count === 0) throw new LocalIoError('a temporary file has become shorter on the disk')
        done += count
      }
    } catch (error) {
      throw localIoError(error, 'read a temporary file in', this.#dir)
    }
  }

  *#split(bytes: Buffer): Generator<Buffer> {
    for (let at = 0; at < bytes.length; at += this.#recordBytes) yield bytes.subarray(at, at + this.#recordBytes)
  }
}

function create(dir: string): {descriptor: number; path: string | undefined} {
  const path = join(dir, `kloset-oci-${randomBytes(8).toString('hex')}.buckets`)
  const descriptor = openSync(path, 'wx+', 0o600)
  try {
    rmSync(path)
    return {descriptor, path: undefined}
  } catch {
    return {descriptor, path}
  }
}
