import {type Cipher, createCipheriv, timingSafeEqual} from 'node:crypto'

import {IntegrityError, InvalidArgumentError} from '../../errors.js'
import {PolyvalKernel, SEGMENT_BYTES} from './polyval.js'

export const NONCE_BYTES = 12
export const TAG_BYTES = 16
export const SIV_OVERHEAD = NONCE_BYTES + TAG_BYTES
export const KEY_BYTES = 32

const BLOCK_BYTES = 16
const TOP_BIT = 0x80

/** Blocks of the key derivation: two halves of the authentication key, four quarters of the encryption key. */
const DERIVATION_BLOCKS = 6

/** One kernel a thread: a message is opened or sealed without a pause, so nobody else sees it half done. */
let kernel: PolyvalKernel | undefined

/**
 * AES-256-GCM-SIV under one key. A message is its nonce of 12 bytes, the ciphertext, a tag of 16 bytes.
 * AES is the platform's; POLYVAL runs in WebAssembly.
 * @see https://www.rfc-editor.org/rfc/rfc8452
 */
export class AesGcmSiv {
  readonly #derivation: Cipher
  readonly #kernel: PolyvalKernel

  /** @throws InvalidArgumentError unless the key has 32 bytes */
  constructor(key: Uint8Array) {
    if (key.length !== KEY_BYTES) throw new InvalidArgumentError(`a key has ${KEY_BYTES} bytes, not ${key.length}`)
    this.#derivation = blockCipher(key)
    kernel ??= new PolyvalKernel()
    this.#kernel = kernel
  }

  /**
   * Decrypts a message into `out`, which has room for its plaintext (the message's length less `SIV_OVERHEAD`).
   * @throws IntegrityError when the message is too short or not what was sealed; `out` then holds nothing of use
   */
  open(message: Uint8Array, out: Uint8Array, additional: Uint8Array = Buffer.alloc(0)): void {
    const length = message.length - SIV_OVERHEAD
    if (length < 0) throw new IntegrityError(`encrypted data ended: ${message.length} bytes, at least ${SIV_OVERHEAD}`)
    const nonce = message.subarray(0, NONCE_BYTES)
    const tag = message.subarray(NONCE_BYTES + length)
    const cipher = this.#begin(nonce, additional)
    this.#kernel.setCounter(counterOf(tag))
    for (let offset = 0; offset < length; offset += SEGMENT_BYTES) {
      const size = Math.min(SEGMENT_BYTES, length - offset)
      this.#kernel.data.set(message.subarray(NONCE_BYTES + offset, NONCE_BYTES + offset + size))
      this.#stream(cipher, size, offset)
      out.set(this.#kernel.data.subarray(0, size), offset)
      this.#kernel.absorb(size)
    }

    if (!timingSafeEqual(this.#tag(cipher, nonce, [additional.length, length]), tag)) {
      out.fill(0, 0, length)
      throw new IntegrityError('encrypted data does not match its authentication tag')
    }
  }

  /** @param nonce 12 bytes, random */
  seal(plaintext: Uint8Array, nonce: Uint8Array, additional: Uint8Array = Buffer.alloc(0)): Buffer {
    const {length} = plaintext
    const out = Buffer.allocUnsafe(length + SIV_OVERHEAD)
    const cipher = this.#begin(nonce, additional)
    this.#absorb(plaintext)
    const tag = this.#tag(cipher, nonce, [additional.length, length])
    out.set(nonce)
    out.set(tag, NONCE_BYTES + length)
    this.#kernel.setCounter(counterOf(tag))
    for (let offset = 0; offset < length; offset += SEGMENT_BYTES) {
      const size = Math.min(SEGMENT_BYTES, length - offset)
      this.#kernel.data.set(plaintext.subarray(offset, offset + size))
      this.#stream(cipher, size, offset)
      out.set(this.#kernel.data.subarray(0, size), NONCE_BYTES + offset)
    }

    return out
  }

  #absorb(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length; offset += SEGMENT_BYTES) {
      const part = bytes.subarray(offset, offset + SEGMENT_BYTES)
      this.#kernel.data.set(part)
      this.#kernel.absorb(part.length)
    }
  }

  /** Derives the keys of a nonce, and begins POLYVAL with the additional data. */
  #begin(nonce: Uint8Array, additional: Uint8Array): Cipher {
    const blocks = Buffer.alloc(DERIVATION_BLOCKS * BLOCK_BYTES)
    for (let index = 0; index < DERIVATION_BLOCKS; index++) {
      blocks[index * BLOCK_BYTES] = index
      blocks.set(nonce, index * BLOCK_BYTES + 4)
    }

    // Of each encrypted block the first half counts.
    const encrypted = this.#derivation.update(blocks)
    const keys = Buffer.alloc(DERIVATION_BLOCKS * 8)
    for (let index = 0; index < DERIVATION_BLOCKS; index++) {
      encrypted.copy(keys, index * 8, index * BLOCK_BYTES, index * BLOCK_BYTES + 8)
    }

    this.#kernel.begin(keys.subarray(0, BLOCK_BYTES))
    this.#absorb(additional)
    return blockCipher(keys.subarray(BLOCK_BYTES))
  }

  /** Encrypts or decrypts the first `size` bytes in the kernel: the segment that begins at `offset` of the message. */
  #stream(cipher: Cipher, size: number, offset: number): void {
    this.#kernel.keystream.set(cipher.update(this.#kernel.counters(size, offset / BLOCK_BYTES)))
    this.#kernel.xor(size)
  }

  /** @param lengths of the additional data and the plaintext, in bytes */
  #tag(cipher: Cipher, nonce: Uint8Array, lengths: readonly [number, number]): Buffer {
    for (const [index, length] of lengths.entries()) {
      this.#kernel.data.writeBigUInt64LE(BigInt(length) * 8n, index * 8)
    }

    this.#kernel.absorb(BLOCK_BYTES)
    const sum = this.#kernel.digest()
    // eslint-disable-next-line no-bitwise
    for (let index = 0; index < NONCE_BYTES; index++) sum[index]! ^= nonce[index]!
    // eslint-disable-next-line no-bitwise
    sum[BLOCK_BYTES - 1]! &= ~TOP_BIT
    return cipher.update(sum)
  }
}

function blockCipher(key: Uint8Array): Cipher {
  return createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
}

/** The first counter block: the tag with its last bit set. */
function counterOf(tag: Uint8Array): Buffer {
  const block = Buffer.from(tag)
  // eslint-disable-next-line no-bitwise
  block[BLOCK_BYTES - 1]! |= TOP_BIT
  return block
}
