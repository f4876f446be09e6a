import {createXXHash32, type IHasher} from 'hash-wasm'

import type {Compression} from './compression.js'

import {Lz4FrameReader, writeLz4Frame} from './lz4-frame.js'

/** LZ4 in frames, kloset's default. */
export async function createLz4(): Promise<Compression> {
  const checksum = await createXXHash32(0)
  return {
    compress: (bytes) => writeLz4Frame(bytes, checksum),
    decompress: (bytes, maxBytes) => decompress(bytes, maxBytes, checksum),
    async *inflate(source, maxBytes) {
      // Streams interleave, and a checksum has one state: each gets its own.
      const reader = new Lz4FrameReader(await createXXHash32(0), maxBytes)
      for await (const part of source) yield* reader.push(part)
      reader.end()
    },
  }
}

function decompress(bytes: Uint8Array, maxBytes: number, checksum: IHasher): Buffer {
  const reader = new Lz4FrameReader(checksum, maxBytes)
  const parts = [...reader.push(bytes)]
  reader.end()
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}
