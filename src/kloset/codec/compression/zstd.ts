import {createXXHash64} from 'hash-wasm'
import {ZSTDDecoder} from 'zstddec'

import type {Compression} from './compression.js'

import {StoreFormatError} from '../../../errors.js'
import {tooLarge} from './compression.js'
import {writeRawFrame, zstdBound} from './zstd-frame.js'

/** The decoder lives in 2 GiB of address space: beyond half of it nothing is tried. */
const MAX_DECODER_BYTES = 1024 * 1024 * 1024

const SLICE_BYTES = 1024 * 1024

/**
 * ZSTD, which kloset has from v1.2 on. It is written as raw blocks, since only small objects are written. A stream is
 * held as a whole: the library cannot wait for more bytes.
 */
export async function createZstd(): Promise<Compression> {
  const checksum = await createXXHash64(0, 0)
  const decoder = new ZSTDDecoder()
  await decoder.init()

  const decompress = (bytes: Uint8Array, maxBytes: number): Buffer => {
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const bound = zstdBound(source, maxBytes)
    if (bound + source.length > MAX_DECODER_BYTES) tooLarge(MAX_DECODER_BYTES)
    if (bound === 0) return Buffer.alloc(0)
    const decoded = decoder.decode(source, bound)
    // The library answers what it cannot decode with nothing.
    if (decoded.length === 0) throw new StoreFormatError('ZSTD data is not sound, or does not match its checksum')
    if (decoded.length > maxBytes) tooLarge(maxBytes)
    return Buffer.from(decoded.buffer, decoded.byteOffset, decoded.byteLength)
  }

  return {
    compress: (bytes) =>
      writeRawFrame(bytes, (content) => {
        checksum.init()
        checksum.update(content)
        const digest = checksum.digest('binary')
        return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).readUInt32BE(4)
      }),
    decompress,
    async *inflate(source, maxBytes) {
      const parts: Uint8Array[] = []
      let size = 0
      for await (const part of source) {
        size += part.length
        if (size > MAX_DECODER_BYTES) tooLarge(maxBytes)
        parts.push(part)
      }

      const whole = decompress(Buffer.concat(parts), maxBytes)
      for (let at = 0; at < whole.length; at += SLICE_BYTES) yield whole.subarray(at, at + SLICE_BYTES)
    },
  }
}
