import type {Configuration} from '../configuration.js'
import type {Secret} from './secret.js'

import {KlosetOciError} from '../../errors.js'
import {tooLarge} from './compression/compression.js'
import {type Compression, createCompression} from './compression/index.js'
import {BlobCipher} from './encryption.js'

/**
 * What any one blob may decode to. Chunks have at most 8 MiB; an object lists the chunks of its file at about 100 bytes
 * each, so this bounds a file at terabytes.
 */
export const MAX_BLOB_BYTES = 256 * 1024 * 1024

/**
 * How a store encodes what it keeps: compressed, then encrypted. Locks, states, and a packfile's blobs, index and footer
 * all are. It belongs to one thread.
 * @see kloset repository/repository.go `encode`, `decode`
 */
export class Codec {
  readonly #cipher: BlobCipher | undefined
  readonly #compression: Compression | undefined

  constructor(compression?: Compression, cipher?: BlobCipher) {
    this.#cipher = cipher
    this.#compression = compression
  }

  /**
   * The result may share memory with `bytes`.
   * @param maxBytes what comes out may not be larger; default `MAX_BLOB_BYTES`
   * @throws IntegrityError when decryption fails
   * @throws StoreFormatError when decompression fails or exceeds the limit
   */
  decode(bytes: Uint8Array, maxBytes: number = MAX_BLOB_BYTES): Buffer {
    const compressed = this.#cipher ? this.#cipher.decrypt(bytes) : bytes
    if (this.#compression) return this.#compression.decompress(compressed, maxBytes)
    if (compressed.length > maxBytes) tooLarge(maxBytes)
    return Buffer.from(compressed.buffer, compressed.byteOffset, compressed.byteLength)
  }

  /**
   * Decodes a stream of any length. What it yields is not proven by the envelope's MAC before the source is at its end.
   * @throws IntegrityError | StoreFormatError as `decode`, and whatever the source throws
   */
  decodeStream(source: AsyncIterable<Uint8Array>, maxBytes = Number.POSITIVE_INFINITY): AsyncIterable<Buffer> {
    const compressed = this.#cipher ? this.#cipher.decryptStream(source) : source
    return this.#compression ? this.#compression.inflate(compressed, maxBytes) : limited(compressed, maxBytes)
  }

  encode(bytes: Uint8Array): Buffer {
    const compressed = this.#compression ? this.#compression.compress(bytes) : bytes
    return this.#cipher ? this.#cipher.encrypt(compressed) : Buffer.from(compressed)
  }
}

/**
 * The codec of a store.
 * @throws KlosetOciError with the code UNAUTHORIZED when the store is encrypted and there is no secret
 * @throws VersionError when the store compresses or encrypts in a way that this program does not know
 */
export async function createCodec(
  {compression, encryption}: Pick<Configuration, 'compression' | 'encryption'>,
  secret?: Secret,
): Promise<Codec> {
  if (encryption && !secret) {
    throw new KlosetOciError('UNAUTHORIZED', 'the store is encrypted: its passphrase is needed', {
      suggestions: ['Give it with --passphrase-file, PLAKAR_PASSPHRASE, or at the prompt.'],
    })
  }

  return new Codec(
    compression && (await createCompression(compression.algorithm)),
    encryption && secret && new BlobCipher(encryption, secret),
  )
}

async function* limited(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Buffer> {
  let size = 0
  for await (const part of source) {
    size += part.length
    if (size > maxBytes) tooLarge(maxBytes)
    yield Buffer.from(part.buffer, part.byteOffset, part.byteLength)
  }
}
