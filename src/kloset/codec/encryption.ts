import {createCipheriv, createDecipheriv, randomBytes} from 'node:crypto'

import type {EncryptionConfiguration} from '../configuration-sections.js'
import type {Secret} from './secret.js'

import {IntegrityError, KlosetOciError, StoreFormatError, VersionError} from '../../errors.js'
import {AesGcmSiv, KEY_BYTES, NONCE_BYTES, SIV_OVERHEAD, TAG_BYTES} from './aes-gcm-siv.js'
import {ByteQueue} from './compression/byte-queue.js'

const DATA_ALGORITHM = 'AES256-GCM-SIV'

/** kloset's own is 64 KiB; a chunk is held in memory as a whole. */
const MAX_CHUNK_BYTES = 16 * 1024 * 1024

/** Random bytes under the secret, in the configuration: who can decrypt them has the secret. */
const CANARY_BYTES = 32

/** RFC 3394's initial value. */
const WRAP_IV = Buffer.alloc(8, 0xa6)

/** How the key of one object is wrapped by the store's. */
interface KeyWrap {
  readonly size: number
  unwrap(wrapped: Uint8Array, key: Uint8Array): Buffer
  wrap(subkey: Uint8Array, key: Uint8Array): Buffer
}

const GCM_WRAP: KeyWrap = {
  size: NONCE_BYTES + KEY_BYTES + TAG_BYTES,
  unwrap(wrapped, key) {
    const decipher = createDecipheriv('aes-256-gcm', key, wrapped.subarray(0, NONCE_BYTES))
    decipher.setAuthTag(wrapped.subarray(NONCE_BYTES + KEY_BYTES))
    return Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
  },
  wrap(subkey, key) {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', key, nonce)
    return Buffer.concat([nonce, cipher.update(subkey), cipher.final(), cipher.getAuthTag()])
  },
}

const AES_KEY_WRAP: KeyWrap = {
  size: KEY_BYTES + 8,
  unwrap(wrapped, key) {
    const decipher = createDecipheriv('id-aes256-wrap', key, WRAP_IV)
    return Buffer.concat([decipher.update(wrapped), decipher.final()])
  },
  wrap(subkey, key) {
    const cipher = createCipheriv('id-aes256-wrap', key, WRAP_IV)
    return Buffer.concat([cipher.update(subkey), cipher.final()])
  },
}

const WRAPS: ReadonlyMap<string, KeyWrap> = new Map([
  ['AES256-GCM', GCM_WRAP],
  ['AES256-KW', AES_KEY_WRAP],
])

type Scheme = Pick<EncryptionConfiguration, 'chunkSize' | 'dataAlgorithm' | 'subKeyAlgorithm'>

/**
 * Encryption of objects under a store's secret: a key of its own for each, wrapped, then chunks sealed with it.
 * @see kloset encryption/symmetric.go `EncryptStream`
 */
export class BlobCipher {
  readonly #chunkBytes: number
  readonly #secret: Secret
  readonly #wrap: KeyWrap

  /**
   * @throws VersionError when the store is encrypted in a way that this program does not know
   * @throws StoreFormatError when its chunk size is not one
   */
  constructor({chunkSize, dataAlgorithm, subKeyAlgorithm}: Scheme, secret: Secret) {
    const wrap = WRAPS.get(subKeyAlgorithm)
    if (!wrap) throw unknownAlgorithm(subKeyAlgorithm, [...WRAPS.keys()])
    if (dataAlgorithm !== DATA_ALGORITHM) throw unknownAlgorithm(dataAlgorithm, [DATA_ALGORITHM])
    if (!(chunkSize >= 1 && chunkSize <= MAX_CHUNK_BYTES)) {
      throw new StoreFormatError(`CONFIG: encryption in chunks of ${chunkSize} bytes, expected 1 to ${MAX_CHUNK_BYTES}`)
    }

    if (secret.bytes.length !== KEY_BYTES) throw new StoreFormatError(`CONFIG: a secret has ${KEY_BYTES} bytes`)
    this.#chunkBytes = chunkSize
    this.#secret = secret
    this.#wrap = wrap
  }

  /** @throws IntegrityError when the bytes are not what was encrypted under this secret */
  decrypt(bytes: Uint8Array): Buffer {
    const siv = this.#open(bytes.subarray(0, this.#wrap.size))
    const sealed = bytes.subarray(this.#wrap.size)
    const full = this.#chunkBytes + SIV_OVERHEAD
    const rest = sealed.length % full
    if (rest > 0 && rest < SIV_OVERHEAD) throw new IntegrityError(`encrypted data ended: a chunk has ${rest} bytes`)
    const plaintext = Buffer.allocUnsafe(sealed.length - Math.ceil(sealed.length / full) * SIV_OVERHEAD)
    for (let at = 0, to = 0; at < sealed.length; at += full, to += this.#chunkBytes) {
      siv.open(sealed.subarray(at, at + full), plaintext.subarray(to))
    }

    return plaintext
  }

  /** Decrypts a stream of any length, a chunk at a time. @throws IntegrityError */
  async *decryptStream(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
    const queue = new ByteQueue()
    const full = this.#chunkBytes + SIV_OVERHEAD
    let siv: AesGcmSiv | undefined
    for await (const part of source) {
      queue.push(part)
      if (!siv) {
        const wrapped = queue.take(this.#wrap.size)
        if (!wrapped) continue
        siv = this.#open(wrapped)
      }

      for (let chunk = queue.take(full); chunk; chunk = queue.take(full)) yield openChunk(siv, chunk)
    }

    if (!siv) siv = this.#open(queue.take(queue.length)!)
    if (queue.length > 0) yield openChunk(siv, queue.take(queue.length)!)
  }

  encrypt(bytes: Uint8Array): Buffer {
    const subkey = randomBytes(KEY_BYTES)
    const siv = new AesGcmSiv(subkey)
    const parts = [this.#wrap.wrap(subkey, this.#secret.bytes)]
    for (let at = 0; at < bytes.length; at += this.#chunkBytes) {
      parts.push(siv.seal(bytes.subarray(at, at + this.#chunkBytes), randomBytes(NONCE_BYTES)))
    }

    return Buffer.concat(parts)
  }

  #open(wrapped: Uint8Array): AesGcmSiv {
    if (wrapped.length < this.#wrap.size) {
      throw new IntegrityError(`encrypted data ended in its key: ${wrapped.length} bytes, expected ${this.#wrap.size}`)
    }

    let subkey: Buffer
    try {
      subkey = this.#wrap.unwrap(wrapped, this.#secret.bytes)
    } catch {
      throw new IntegrityError('encrypted data is damaged in its key, or belongs to another store')
    }

    return new AesGcmSiv(subkey)
  }
}

/** A new store's canary. */
export function makeCanary(scheme: Scheme, secret: Secret): Buffer {
  return new BlobCipher(scheme, secret).encrypt(randomBytes(CANARY_BYTES))
}

/**
 * Tells whether the secret is the store's, by the canary in its configuration.
 * @throws KlosetOciError with the code UNAUTHORIZED when it is not
 * @throws VersionError | StoreFormatError when the configuration does not let it be told
 * @see kloset encryption/symmetric.go `VerifyCanary`
 */
export function checkCanary(encryption: EncryptionConfiguration, secret: Secret): void {
  const cipher = new BlobCipher(encryption, secret)
  try {
    cipher.decrypt(encryption.canary)
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error
    throw new KlosetOciError('UNAUTHORIZED', "the passphrase is not this store's", {
      suggestions: [
        'Give the passphrase that the store was created with, without a newline at its end.',
        'Without it, `verify --tier digest` still checks what is stored.',
      ],
    })
  }
}

function openChunk(siv: AesGcmSiv, chunk: Uint8Array): Buffer {
  const plaintext = Buffer.allocUnsafe(Math.max(0, chunk.length - SIV_OVERHEAD))
  siv.open(chunk, plaintext)
  return plaintext
}

function unknownAlgorithm(name: string, known: readonly string[]): VersionError {
  const shown = name.slice(0, 40)
  return new VersionError(`CONFIG: encryption "${shown}" is not known, only ${known.join(', ')}`, {
    facts: {actual: shown, expected: known.join(' ')},
    suggestions: ['Update kloset-oci: the store was created by a newer plakar, perhaps.'],
  })
}
