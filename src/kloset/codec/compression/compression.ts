import {StoreFormatError} from '../../../errors.js'

/**
 * A way to compress, of the store's configuration. It belongs to one thread; what it gives may share memory with what it
 * was given.
 */
export interface Compression {
  /** Compressed bytes as kloset reads them. */
  compress(bytes: Uint8Array): Buffer
  /**
   * @param maxBytes what comes out may not be larger
   * @throws StoreFormatError when the bytes are not sound or decompress to more
   */
  decompress(bytes: Uint8Array, maxBytes: number): Buffer
  /**
   * Decompresses a stream of any length, with memory for a block of it and not for the whole.
   * @throws StoreFormatError as soon as the bytes are not sound or decompress to more than `maxBytes`
   */
  inflate(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncIterable<Buffer>
}

/** @throws StoreFormatError always */
export function tooLarge(maxBytes: number): never {
  throw new StoreFormatError(`data is more than ${maxBytes} bytes when decoded`, {
    facts: {maxBytes},
    suggestions: ['No object of a store is that large: this one was damaged, or made to exhaust memory.'],
  })
}
