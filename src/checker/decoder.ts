import type {Configuration} from '../kloset/configuration.js'

import {type Codec, createCodec} from '../kloset/codec/codec.js'
import {type Secret} from '../kloset/codec/secret.js'

/** Turns an object's data, out of its envelope, into what it was before it was compressed and encrypted. */
export type DataDecoder = (data: Buffer, maxBytes: number) => Promise<Buffer>

/**
 * The codec of a store; none for an encrypted one whose secret is not known.
 * @throws VersionError when the store compresses or encrypts in a way that this program does not know
 */
export async function codecOf(configuration: Configuration, secret?: Secret): Promise<Codec | undefined> {
  return configuration.encryption && !secret ? undefined : createCodec(configuration, secret)
}

/**
 * The decoder of a plaintext store; none for an encrypted one.
 * @throws VersionError when the store is compressed in a way that this program does not know
 */
export async function plaintextDecoder(configuration: Configuration): Promise<DataDecoder | undefined> {
  const codec = await codecOf(configuration)
  return codec && (async (data, maxBytes) => codec.decode(data, maxBytes))
}
