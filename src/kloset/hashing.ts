import {createBLAKE3} from 'hash-wasm'
import {createHash, createHmac, timingSafeEqual} from 'node:crypto'

import {UnsupportedError} from '../errors.js'
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
      blake3.init()
      return {
        digest: () => Buffer.from(blake3.digest('binary')),
        reset() {
          blake3.init()
        },
        update(bytes) {
          blake3.update(bytes)
        },
      }
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

  /** Runs `use` with a fresh hasher that nobody else has meanwhile. */
  async lend<T>(use: (hasher: Hasher) => Promise<T> | T): Promise<T> {
    const hasher = await this.take()
    try {
      return await use(hasher)
    } finally {
      hasher.reset()
      this.#idle.push(hasher)
    }
  }

  /** A hasher to keep. */
  async take(): Promise<Hasher> {
    return this.#idle.pop() ?? this.#create()
  }
}
