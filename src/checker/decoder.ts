import type {Configuration} from '../kloset/configuration.js'

import {createCompression} from '../kloset/codec/compression/index.js'

/** Turns an object's data, out of its envelope, into what it was before it was compressed and encrypted. */
export type DataDecoder = (data: Buffer, maxBytes: number) => Promise<Buffer>

/**
 * The decoder of a plaintext store; none for an encrypted one.
 * @throws VersionError when the store is compressed in a way that this program does not know
 */
export async function plaintextDecoder({compression, encryption}: Configuration): Promise<DataDecoder | undefined> {
  if (encryption) return undefined
  if (!compression) return async (data) => data
  const codec = await createCompression(compression.algorithm)
  return async (data, maxBytes) => codec.decompress(data, maxBytes)
}
