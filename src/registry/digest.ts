import {createHash} from 'node:crypto'

import {InvalidReferenceError} from '../errors.js'

declare const digestBrand: unique symbol

/**
 * A content digest `algorithm:hex`, checked for its form.
 * @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
 */
export type Digest = string & {readonly [digestBrand]: true}

export type DigestAlgorithm = 'sha256' | 'sha512'

const FORMS: Readonly<Record<DigestAlgorithm, RegExp>> = {
  sha256: /^sha256:[\da-f]{64}$/,
  sha512: /^sha512:[\da-f]{128}$/,
}

export function isDigest(value: string): value is Digest {
  return FORMS.sha256.test(value) || FORMS.sha512.test(value)
}

/** @throws InvalidReferenceError unless `value` is a sha256 or sha512 digest in lower-case hex */
export function parseDigest(value: string): Digest {
  if (isDigest(value)) return value
  throw new InvalidReferenceError(`not a digest: "${value.slice(0, 160)}"`, {
    suggestions: ['A digest is sha256: and 64 hex digits in lower case.'],
  })
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

/** The hex digits of a digest, without its algorithm. */
export function encodedOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

/** Digest of raw bytes. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest
}

/** A digest built up as bytes pass by. `value` ends it. */
export class Digester {
  readonly #algorithm: DigestAlgorithm
  readonly #hash
  #size = 0

  constructor(algorithm: DigestAlgorithm = 'sha256') {
    this.#algorithm = algorithm
    this.#hash = createHash(algorithm)
  }

  /** Bytes seen so far. */
  get size(): number {
    return this.#size
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#size += bytes.length
  }

  /** Ends the digest: call once. */
  value(): Digest {
    return `${this.#algorithm}:${this.#hash.digest('hex')}` as Digest
  }
}
