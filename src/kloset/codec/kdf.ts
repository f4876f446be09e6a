import {argon2id as argon2idInWasm, createBLAKE3, pbkdf2 as pbkdf2InWasm} from 'hash-wasm'
import {pbkdf2, randomBytes, scrypt} from 'node:crypto'
import {promisify} from 'node:util'

import type {
  Argon2idParameters,
  EncryptionConfiguration,
  KdfParameters,
  Pbkdf2Parameters,
  ScryptParameters,
} from '../configuration-sections.js'

import {InvalidArgumentError, StoreFormatError, VersionError} from '../../errors.js'
import {SECRET_BYTES} from '../hashing.js'
import {checkCanary, makeCanary} from './encryption.js'
import {Secret} from './secret.js'

export const KDFS = ['ARGON2ID', 'SCRYPT', 'PBKDF2'] as const
export type Kdf = (typeof KDFS)[number]

const KIB = 1024
const GIB = 1024 ** 3

/**
 * What a configuration may ask for. kloset's own parameters take a quarter of this memory, and a sixteenth of this work:
 * about a second and a half.
 */
const MAX_MEMORY_BYTES = GIB
const MAX_WORK_BYTES = 16 * GIB
const MAX_LANES = 64
const MAX_ITERATIONS = 10_000_000
const MIN_SALT_BYTES = 8
const MAX_SALT_BYTES = 1024
const SALT_BYTES = 16

/** What is used of the optional package `@node-rs/argon2`. */
interface Argon2Addon {
  readonly hashRaw: (password: Uint8Array, options: Readonly<Record<string, unknown>>) => Promise<Buffer>
}

/** The addon's numbers for Argon2id and its version 1.3. */
const ADDON_ARGON2ID = 2
const ADDON_VERSION_19 = 1

/**
 * Derives the secret of a store from its passphrase. Nothing of either is in any error.
 * @throws InvalidArgumentError when the passphrase is empty
 * @throws VersionError for a derivation that this program does not know
 * @throws StoreFormatError when its parameters are missing, unsound, or ask for more than a store can need
 * @see kloset encryption/symmetric.go `DeriveKey`
 */
export async function deriveSecret(parameters: KdfParameters, passphrase: string | Uint8Array): Promise<Secret> {
  const password = Buffer.from(passphrase)
  if (password.length === 0) throw new InvalidArgumentError('the passphrase is empty')
  const {kdf, salt} = parameters
  check(salt.length >= MIN_SALT_BYTES && salt.length <= MAX_SALT_BYTES, `a salt of ${salt.length} bytes`)
  const bytes = await derive(parameters, password)
  check(bytes.length === SECRET_BYTES, `${kdf} with a key of ${bytes.length} bytes`)
  return new Secret(bytes)
}

/**
 * The secret of a store, proven by its canary.
 * @throws KlosetOciError with the code UNAUTHORIZED when the passphrase is not the store's
 * @throws whatever `deriveSecret` throws
 */
export async function unlock(encryption: EncryptionConfiguration, passphrase: string | Uint8Array): Promise<Secret> {
  const secret = await deriveSecret(encryption.kdf, passphrase)
  checkCanary(encryption, secret)
  return secret
}

/** The encryption of a new store, with the parameters that plakar gives it, and the secret that belongs to it. */
export async function newEncryption(
  passphrase: string | Uint8Array,
  kdf: Kdf = 'ARGON2ID',
): Promise<{readonly configuration: EncryptionConfiguration; readonly secret: Secret}> {
  const parameters: KdfParameters = {
    argon2id:
      kdf === 'ARGON2ID'
        ? {keyLen: SECRET_BYTES, memory: 256 * KIB, saltSize: SALT_BYTES, threads: 1, time: 4}
        : undefined,
    kdf,
    pbkdf2:
      kdf === 'PBKDF2'
        ? {hashing: 'SHA256', iterations: 100_000, keyLen: SECRET_BYTES, saltSize: SALT_BYTES}
        : undefined,
    salt: randomBytes(SALT_BYTES),
    scrypt: kdf === 'SCRYPT' ? {keyLen: SECRET_BYTES, n: 2 ** 15, p: 1, r: 8, saltSize: SALT_BYTES} : undefined,
  }
  const secret = await deriveSecret(parameters, passphrase)
  const scheme = {chunkSize: 64 * KIB, dataAlgorithm: 'AES256-GCM-SIV', subKeyAlgorithm: 'AES256-KW'}
  return {configuration: {...scheme, canary: makeCanary(scheme, secret), kdf: parameters}, secret}
}

async function derive(parameters: KdfParameters, password: Buffer): Promise<Uint8Array> {
  const {kdf, salt} = parameters
  switch (kdf) {
    case 'ARGON2ID': {
      return deriveArgon2id(given(parameters.argon2id, kdf), salt, password)
    }

    case 'PBKDF2': {
      return derivePbkdf2(given(parameters.pbkdf2, kdf), salt, password)
    }

    case 'SCRYPT': {
      return deriveScrypt(given(parameters.scrypt, kdf), salt, password)
    }

    default: {
      const shown = kdf.slice(0, 40)
      throw new VersionError(`CONFIG: key derivation "${shown}" is not known, only ${KDFS.join(', ')}`, {
        facts: {actual: shown, expected: KDFS.join(' ')},
        suggestions: ['Update kloset-oci: the store was created by a newer plakar, perhaps.'],
      })
    }
  }
}

async function deriveArgon2id(
  {keyLen, memory, threads, time}: Argon2idParameters,
  salt: Buffer,
  password: Buffer,
): Promise<Uint8Array> {
  const bytes = memory * KIB
  check(
    threads >= 1 && threads <= MAX_LANES && memory >= 8 * threads && time >= 1 && keyLen === SECRET_BYTES,
    `ARGON2ID with time ${time}, memory ${memory} KiB, ${threads} threads, a key of ${keyLen} bytes`,
  )
  check(
    bytes <= MAX_MEMORY_BYTES && bytes * time <= MAX_WORK_BYTES,
    `ARGON2ID with ${memory} KiB of memory, ${time} times over`,
  )
  const addon = await loadArgon2()
  if (addon) {
    return addon.hashRaw(password, {
      algorithm: ADDON_ARGON2ID,
      memoryCost: memory,
      outputLen: keyLen,
      parallelism: threads,
      salt,
      timeCost: time,
      version: ADDON_VERSION_19,
    })
  }

  return argon2idInWasm({
    hashLength: keyLen,
    iterations: time,
    memorySize: memory,
    outputType: 'binary',
    parallelism: threads,
    password,
    salt,
  })
}

async function derivePbkdf2(
  {hashing, iterations, keyLen}: Pbkdf2Parameters,
  salt: Buffer,
  password: Buffer,
): Promise<Uint8Array> {
  check(
    iterations >= 1 && iterations <= MAX_ITERATIONS && keyLen === SECRET_BYTES,
    `PBKDF2 with ${iterations} iterations, a key of ${keyLen} bytes`,
  )
  switch (hashing) {
    case 'BLAKE3': {
      return pbkdf2InWasm({
        hashFunction: createBLAKE3(),
        hashLength: keyLen,
        iterations,
        outputType: 'binary',
        password,
        salt,
      })
    }

    case 'SHA256': {
      return promisify(pbkdf2)(password, salt, iterations, keyLen, 'sha256')
    }

    default: {
      throw new VersionError(`CONFIG: PBKDF2 with an unknown hashing "${hashing.slice(0, 40)}"`)
    }
  }
}

async function deriveScrypt({keyLen, n, p, r}: ScryptParameters, salt: Buffer, password: Buffer): Promise<Uint8Array> {
  const bytes = 128 * n * r
  check(
    n > 1 && Number.isInteger(Math.log2(n)) && r >= 1 && p >= 1 && keyLen === SECRET_BYTES,
    `SCRYPT with N ${n}, r ${r}, p ${p}, a key of ${keyLen} bytes`,
  )
  check(
    bytes <= MAX_MEMORY_BYTES && bytes * p <= MAX_WORK_BYTES,
    `SCRYPT with ${bytes} bytes of memory, ${p} times over`,
  )
  return new Promise((resolve, reject) => {
    // OpenSSL counts a little more than the table itself.
    scrypt(password, salt, keyLen, {maxmem: 2 * bytes + GIB / 64, N: n, p, r}, (error, key) => {
      if (error) reject(error)
      else resolve(key)
    })
  })
}

/** Half the time of WebAssembly's and off the main thread; where it is not installed, WebAssembly does it. */
async function loadArgon2(): Promise<Argon2Addon | undefined> {
  try {
    return (await import('@node-rs/argon2')) as unknown as Argon2Addon
  } catch {
    return undefined
  }
}

function check(sound: boolean, asked: string): void {
  if (sound) return
  throw new StoreFormatError(`CONFIG: key derivation asks for ${asked}`, {
    suggestions: ['No plakar writes such a configuration: compare CONFIG with a copy of it.'],
  })
}

function given<T>(parameters: T | undefined, kdf: string): T {
  if (parameters === undefined) throw new StoreFormatError(`CONFIG: no parameters for key derivation ${kdf}`)
  return parameters
}
