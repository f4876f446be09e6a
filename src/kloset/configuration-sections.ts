import type {MsgpackWriter} from './msgpack-writer.js'
import type {MsgpackFields} from './msgpack.js'

import {StoreFormatError} from '../errors.js'

export interface Argon2idParameters {
  readonly keyLen: number
  /** KiB. */
  readonly memory: number
  readonly saltSize: number
  readonly threads: number
  readonly time: number
}

export interface ScryptParameters {
  readonly keyLen: number
  readonly n: number
  readonly p: number
  readonly r: number
  readonly saltSize: number
}

export interface Pbkdf2Parameters {
  readonly hashing: string
  readonly iterations: number
  readonly keyLen: number
  readonly saltSize: number
}

/** @see kloset encryption/symmetric.go `KDFParams` */
export interface KdfParameters {
  readonly argon2id: Argon2idParameters | undefined
  readonly kdf: string
  readonly pbkdf2: Pbkdf2Parameters | undefined
  readonly salt: Buffer
  readonly scrypt: ScryptParameters | undefined
}

/** @see kloset encryption/symmetric.go `Configuration` */
export interface EncryptionConfiguration {
  readonly canary: Buffer
  readonly chunkSize: number
  readonly dataAlgorithm: string
  readonly kdf: KdfParameters
  readonly subKeyAlgorithm: string
}

/** @see kloset compression/compression.go `Configuration` */
export interface CompressionConfiguration {
  readonly algorithm: string
  readonly blockSize: number
  readonly chunkSize: number
  readonly enableCrc: boolean
  readonly level: number
  readonly windowSize: number
}

const MAX_UINT8 = 255
const MAX_UINT32 = 2 ** 32 - 1

/** Undefined for a store that does not compress. */
export function decodeCompression(fields: MsgpackFields | undefined): CompressionConfiguration | undefined {
  return (
    fields && {
      algorithm: fields.string('Algorithm'),
      blockSize: fields.int('BlockSize'),
      chunkSize: fields.int('ChunkSize'),
      enableCrc: fields.bool('EnableCRC'),
      level: fields.int('Level'),
      windowSize: fields.int('WindowSize'),
    }
  )
}

export function encodeCompression(out: MsgpackWriter, compression: CompressionConfiguration): void {
  out.map(6)
  out.string('Algorithm').string(compression.algorithm)
  out.string('Level').int(compression.level)
  out.string('WindowSize').int(compression.windowSize)
  out.string('ChunkSize').int(compression.chunkSize)
  out.string('BlockSize').int(compression.blockSize)
  out.string('EnableCRC').bool(compression.enableCrc)
}

/**
 * Undefined for a plaintext store.
 * @throws StoreFormatError also when an algorithm has no name: an empty section must not pass for encryption
 */
export function decodeEncryption(fields: MsgpackFields | undefined): EncryptionConfiguration | undefined {
  if (!fields) return undefined
  const kdf = fields.child('KDFParams')
  const encryption = {
    canary: fields.bytes('Canary'),
    chunkSize: fields.int('ChunkSize'),
    dataAlgorithm: fields.string('DataAlgorithm'),
    kdf: {
      argon2id: decodeArgon2id(kdf?.child('argon2id')),
      kdf: kdf?.string('KDF') ?? '',
      pbkdf2: decodePbkdf2(kdf?.child('pbkdf2')),
      salt: kdf?.bytes('Salt') ?? Buffer.alloc(0),
      scrypt: decodeScrypt(kdf?.child('scrypt')),
    },
    subKeyAlgorithm: fields.string('SubKeyAlgorithm'),
  }
  if ([encryption.dataAlgorithm, encryption.kdf.kdf, encryption.subKeyAlgorithm].includes('')) {
    throw new StoreFormatError('CONFIG: Encryption names no algorithm')
  }

  return encryption
}

export function encodeEncryption(out: MsgpackWriter, encryption: EncryptionConfiguration): void {
  const {argon2id, kdf, pbkdf2, salt, scrypt} = encryption.kdf
  out.map(5)
  out.string('SubKeyAlgorithm').string(encryption.subKeyAlgorithm)
  out.string('DataAlgorithm').string(encryption.dataAlgorithm)
  out.string('ChunkSize').int(encryption.chunkSize)
  out.string('KDFParams').map(2 + [argon2id, scrypt, pbkdf2].filter(Boolean).length)
  out.string('KDF').string(kdf)
  out.string('Salt').bin(salt)
  if (argon2id) {
    out.string('argon2id').map(5)
    out.string('SaltSize').uint32(argon2id.saltSize)
    out.string('Time').uint32(argon2id.time)
    out.string('Memory').uint32(argon2id.memory)
    out.string('Threads').uint8(argon2id.threads)
    out.string('KeyLen').uint32(argon2id.keyLen)
  }

  if (scrypt) {
    out.string('scrypt').map(5)
    out.string('SaltSize').uint32(scrypt.saltSize)
    out.string('N').int(scrypt.n)
    out.string('R').int(scrypt.r)
    out.string('P').int(scrypt.p)
    out.string('KeyLen').int(scrypt.keyLen)
  }

  if (pbkdf2) {
    out.string('pbkdf2').map(4)
    out.string('SaltSize').uint32(pbkdf2.saltSize)
    out.string('Iterations').int(pbkdf2.iterations)
    out.string('KeyLen').int(pbkdf2.keyLen)
    out.string('Hashing').string(pbkdf2.hashing)
  }

  out.string('Canary').bin(encryption.canary)
}

function decodeArgon2id(fields: MsgpackFields | undefined): Argon2idParameters | undefined {
  return (
    fields && {
      keyLen: fields.uint('KeyLen', MAX_UINT32),
      memory: fields.uint('Memory', MAX_UINT32),
      saltSize: fields.uint('SaltSize', MAX_UINT32),
      threads: fields.uint('Threads', MAX_UINT8),
      time: fields.uint('Time', MAX_UINT32),
    }
  )
}

function decodePbkdf2(fields: MsgpackFields | undefined): Pbkdf2Parameters | undefined {
  return (
    fields && {
      hashing: fields.string('Hashing'),
      iterations: fields.int('Iterations'),
      keyLen: fields.int('KeyLen'),
      saltSize: fields.uint('SaltSize', MAX_UINT32),
    }
  )
}

function decodeScrypt(fields: MsgpackFields | undefined): ScryptParameters | undefined {
  return (
    fields && {
      keyLen: fields.int('KeyLen'),
      n: fields.int('N'),
      p: fields.int('P'),
      r: fields.int('R'),
      saltSize: fields.uint('SaltSize', MAX_UINT32),
    }
  )
}
