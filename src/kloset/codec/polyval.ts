import {LAYOUT, MODULE} from './polyval-module.js'

/** Bytes that the kernel works on at once. */
export const SEGMENT_BYTES = LAYOUT.segment

const BLOCK_BYTES = 16

interface Exports {
  readonly absorb: (at: number, blocks: number) => void
  readonly counters: (at: number, blocks: number, start: number) => void
  readonly init: () => void
  readonly memory: {readonly buffer: ArrayBuffer}
  readonly xor: (to: number, from: number, blocks: number) => void
}

/** The part of WebAssembly's interface that is used here: the types of the language alone do not have it. */
interface WebAssemblyApi {
  readonly Instance: new (compiled: object) => {readonly exports: unknown}
  readonly Module: new (bytes: Uint8Array) => object
}

const {WebAssembly: webAssembly} = globalThis as unknown as {readonly WebAssembly: WebAssemblyApi}

/**
 * What AES-GCM-SIV needs besides AES: POLYVAL and the counter stream, in a WebAssembly module with SIMD.
 * It has one key, one accumulator and one segment of data at a time: a thread uses one kernel, and a message from its
 * first call to its last without a pause.
 *
 * Its table look-ups depend on the key. Who shares a processor's cache with this process may learn from their timing;
 * who reads backups on a machine trusts what else runs there.
 */
export class PolyvalKernel {
  /** The segment. */
  readonly data: Buffer
  /** Counter blocks, then the stream that AES makes of them. */
  readonly keystream: Buffer
  readonly #accumulator: Buffer
  readonly #counter: Buffer
  readonly #exports: Exports
  readonly #key: Buffer

  constructor() {
    const instance = new webAssembly.Instance(new webAssembly.Module(Buffer.from(MODULE, 'base64')))
    // The module is our own, made by scripts/polyval-module.js: its exports are these.
    this.#exports = instance.exports as Exports
    const memory = Buffer.from(this.#exports.memory.buffer)
    this.#accumulator = memory.subarray(LAYOUT.accumulator, LAYOUT.accumulator + BLOCK_BYTES)
    this.#counter = memory.subarray(LAYOUT.counter, LAYOUT.counter + BLOCK_BYTES)
    this.#key = memory.subarray(LAYOUT.key, LAYOUT.key + BLOCK_BYTES)
    this.data = memory.subarray(LAYOUT.data, LAYOUT.data + SEGMENT_BYTES)
    this.keystream = memory.subarray(LAYOUT.keystream, LAYOUT.keystream + SEGMENT_BYTES)
  }

  /** Takes the first `length` bytes of `data` into POLYVAL, filled up with zeros to a whole block. */
  absorb(length: number): void {
    const end = padded(length)
    this.data.fill(0, length, end)
    this.#exports.absorb(LAYOUT.data, end / BLOCK_BYTES)
  }

  /** Begins a message under a key of 16 bytes. */
  begin(key: Uint8Array): void {
    this.#key.set(key)
    this.#exports.init()
  }

  /**
   * Writes into `keystream` the counter blocks for `length` bytes.
   * @param start blocks of the message before these
   * @returns the part of `keystream` that AES has to encrypt
   */
  counters(length: number, start: number): Buffer {
    const end = padded(length)
    this.#exports.counters(LAYOUT.keystream, end / BLOCK_BYTES, start)
    return this.keystream.subarray(0, end)
  }

  /** POLYVAL of everything absorbed since `begin`: 16 bytes. */
  digest(): Buffer {
    return Buffer.from(this.#accumulator)
  }

  /** The counter block of the message, whose first 32 bits count. */
  setCounter(block: Uint8Array): void {
    this.#counter.set(block)
  }

  /** Adds the stream to the first `length` bytes of `data`. What follows them in the last block becomes undefined. */
  xor(length: number): void {
    this.#exports.xor(LAYOUT.data, LAYOUT.keystream, padded(length) / BLOCK_BYTES)
  }
}

function padded(length: number): number {
  return Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES
}
