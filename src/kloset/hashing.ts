import {createBLAKE3, type IHasher} from 'hash-wasm'
import {createHash, createHmac, timingSafeEqual} from 'node:crypto'

import {UnsupportedError} from '../errors.js'
import {NATIVE_BYTES, type NativeBlake3, nativeBlake3} from './blake3-native.js'
import {MAC_BYTES} from './mac.js'

/** Hashings of the store's configuration. @see kloset hashing/hashing.go */
export const HASHINGS = ['BLAKE3', 'SHA256'] as const
export type Hashing = (typeof HASHINGS)[number]

/** CONFIG is always hashed so, whatever it configures. @see kloset connectors/storage/serialization.go */
export const CONFIG_HASHING: Hashing = 'BLAKE3'

/** Bytes of a secret: what keyed BLAKE3 takes, and the key derivations give. */
export const SECRET_BYTES = 32

/** A hash built up as bytes pass by. `digest` ends it; `reset` begins the next one with the same key. */
export interface Hasher {
  digest(): Buffer
  reset(): void
  update(bytes: Uint8Array): void
}

export function isHashing(value: string): value is Hashing {
  return (HASHINGS as readonly string[]).includes(value)
}

/** A hasher with a key makes MACs: keyed BLAKE3 or HMAC-SHA256. Without one it is the plain hash. */
export async function createHasher(hashing: Hashing, key?: Uint8Array): Promise<Hasher> {
  switch (hashing) {
    case 'BLAKE3': {
      const blake3 = await createBLAKE3(MAC_BYTES * 8, key === undefined ? undefined : Buffer.from(key))
      return new Blake3(blake3, key)
    }

    case 'SHA256': {
      const start = () => (key === undefined ? createHash('sha256') : createHmac('sha256', key))
      let hash = start()
      return {
        digest: () => hash.digest(),
        reset() {
          hash = start()
        },
        update(bytes) {
          hash.update(bytes)
        },
      }
    }

    default: {
      throw new UnsupportedError(`unknown hashing ${String(hashing satisfies never)}`)
    }
  }
}

/**
 * BLAKE3 in one of two ways: natively from the first large piece on, where the addon is there, and in WebAssembly for
 * small things, where calling the addon would take longer than hashing. Both say the same.
 */
class Blake3 implements Hasher {
  #isFresh = true
  readonly #key: Uint8Array | undefined
  #native: NativeBlake3 | undefined
  #usesNative = false
  readonly #wasm: IHasher

  constructor(wasm: IHasher, key: Uint8Array | undefined) {
    this.#key = key && Uint8Array.from(key)
    this.#wasm = wasm
    wasm.init()
  }

  digest(): Buffer {
    return this.#usesNative ? this.#native!.digestBuffer() : Buffer.from(this.#wasm.digest('binary'))
  }

  reset(): void {
    if (this.#usesNative) this.#native!.reset()
    else this.#wasm.init()
    this.#isFresh = true
    this.#usesNative = false
  }

  update(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#isFresh && bytes.length >= NATIVE_BYTES) {
      this.#native ??= nativeBlake3(this.#key)
      this.#usesNative = this.#native !== undefined
    }

    this.#isFresh = false
    if (this.#usesNative) this.#native!.update(bytes)
    else this.#wasm.update(bytes)
  }
}

/** Hash or MAC of bytes in memory. */
export async function hash(hashing: Hashing, bytes: Uint8Array, key?: Uint8Array): Promise<Buffer> {
  const hasher = await createHasher(hashing, key)
  hasher.update(bytes)
  return hasher.digest()
}

/**
 * The key under which a plaintext store makes its MACs: the hash of its identifier, so that no passphrase is needed to
 * check them (and none protects them).
 * @param repositoryId 16 bytes
 * @see kloset repository/repository.go `GetMACHasher`
 */
export async function plaintextKey(hashing: Hashing, repositoryId: Uint8Array): Promise<Buffer> {
  return hash(hashing, repositoryId)
}

/** Whether two MACs are the same, in a time that does not depend on where they differ. */
export function sameMac(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Hashers of one key, lent and given back: making one is dearer than hashing a small object. */
export class HasherPool {
  readonly #create: () => Promise<Hasher>
  readonly #idle: Hasher[] = []

  constructor(hashing: Hashing, key?: Uint8Array) {
    const own = key && Buffer.from(key)
    this.#create = async () => createHasher(hashing, own)
  }

  /** Takes a hasher back that `take` gave. */
  giveBack(hasher: Hasher): void {
    hasher.reset()
    this.#idle.push(hasher)
  }

  /** Runs `use` with a fresh hasher that nobody else has meanwhile. */
  async lend<T>(use: (hasher: Hasher) => Promise<T> | T): Promise<T> {
    const hasher = await this.take()
    try {
      return await use(hasher)
    } finally {
      this.giveBack(hasher)
    }
  }

  /** A fresh hasher to keep. */
  async take(): Promise<Hasher> {
    return this.#idle.pop() ?? this.#create()
  }
}
