import {randomUUID} from 'node:crypto'

import {InvalidArgumentError, StoreFormatError, VersionError} from '../errors.js'
import {
  type CompressionConfiguration,
  decodeCompression,
  decodeEncryption,
  encodeCompression,
  encodeEncryption,
  type EncryptionConfiguration,
} from './configuration-sections.js'
import {checkHeader, KNOWN_VERSIONS, openEnvelope, parseHeader, sealEnvelope} from './envelope.js'
import {CONFIG_HASHING, createHasher, type Hashing, HASHINGS, isHashing, plaintextKey} from './hashing.js'
import {MsgpackWriter} from './msgpack-writer.js'
import {decodeMsgpack, MsgpackFields} from './msgpack.js'
import {type Timestamp, timestampFromMillis} from './timestamp.js'
import {makeVersion, type Version} from './version.js'

/**
 * What a store is made of. Algorithms are names, which may be ones that this program does not know.
 * @see kloset connectors/storage/storage.go `Configuration`
 */
export interface Configuration {
  readonly chunking: {
    readonly algorithm: string
    readonly maxSize: number
    readonly minSize: number
    readonly normalSize: number
  }
  readonly compression: CompressionConfiguration | undefined
  readonly encryption: EncryptionConfiguration | undefined
  readonly hashing: {readonly algorithm: string; readonly bits: number}
  readonly packfile: {readonly avgSize: number; readonly maxSize: number; readonly minSize: number}
  /** 16 bytes; `formatUuid` writes it. */
  readonly repositoryId: Buffer
  readonly timestamp: Timestamp
  readonly version: Version
}

export interface NewConfigurationOptions {
  /** Default LZ4; `none` stores everything as it is. */
  readonly compression?: 'GZIP' | 'LZ4' | 'none' | undefined
  readonly encryption?: EncryptionConfiguration | undefined
  /** Default BLAKE3. */
  readonly hashing?: Hashing | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
  /** 16 bytes; random by default. */
  readonly repositoryId?: Uint8Array | undefined
}

const UUID_BYTES = 16
const MAX_UINT32 = 2 ** 32 - 1
const LIMITS = {maxCount: 64, maxLength: 4096}
const MIB = 1024 * 1024

/** pierrec/lz4 level 9, 1 << (8 + 9). */
const LZ4_LEVEL_9 = 131_072

/** The configuration that plakar v1.1.4 gives a new store. */
export function newConfiguration(options: NewConfigurationOptions): Configuration {
  const {compression = 'LZ4', encryption, hashing = 'BLAKE3', now, repositoryId = uuidBytes(randomUUID())} = options
  if (repositoryId.length !== UUID_BYTES) {
    throw new InvalidArgumentError(`a repository id has ${UUID_BYTES} bytes, not ${repositoryId.length}`)
  }

  return {
    chunking: {algorithm: 'fastcdc-v1.0.0', maxSize: 8 * MIB, minSize: MIB / 2, normalSize: MIB},
    compression:
      compression === 'none'
        ? undefined
        : {
            algorithm: compression,
            blockSize: -1,
            chunkSize: -1,
            enableCrc: false,
            level: compression === 'LZ4' ? LZ4_LEVEL_9 : -1,
            windowSize: -1,
          },
    encryption,
    hashing: {algorithm: hashing, bits: 256},
    packfile: {avgSize: 0, maxSize: 64 * MIB, minSize: 0},
    repositoryId: Buffer.from(repositoryId),
    timestamp: timestampFromMillis(now),
    version: makeVersion(1, 0, 0),
  }
}

/**
 * Decodes the data of CONFIG's envelope.
 * @throws StoreFormatError
 */
export function decodeConfiguration(data: Uint8Array, version: Version): Configuration {
  const fields = new MsgpackFields(decodeMsgpack(data, 'CONFIG', LIMITS), 'CONFIG')
  const repositoryId = fields.bytes('RepositoryID')
  if (repositoryId.length !== UUID_BYTES) {
    throw new StoreFormatError(`CONFIG: RepositoryID has ${repositoryId.length} bytes, expected ${UUID_BYTES}`)
  }

  const chunking = fields.child('Chunking')
  const hashing = fields.child('Hashing')
  const packfile = fields.child('Packfile')
  return {
    chunking: {
      algorithm: chunking?.string('Algorithm') ?? '',
      maxSize: chunking?.uint('MaxSize', MAX_UINT32) ?? 0,
      minSize: chunking?.uint('MinSize', MAX_UINT32) ?? 0,
      normalSize: chunking?.uint('NormalSize', MAX_UINT32) ?? 0,
    },
    compression: decodeCompression(fields.child('Compression')),
    encryption: decodeEncryption(fields.child('Encryption')),
    hashing: {algorithm: hashing?.string('Algorithm') ?? '', bits: hashing?.uint('Bits', MAX_UINT32) ?? 0},
    packfile: {
      avgSize: packfile?.uint('AvgSize') ?? 0,
      maxSize: packfile?.uint('MaxSize') ?? 0,
      minSize: packfile?.uint('MinSize') ?? 0,
    },
    repositoryId,
    timestamp: fields.timestamp('Timestamp'),
    version,
  }
}

/** The data of CONFIG's envelope, byte for byte as kloset writes it. */
export function encodeConfiguration(configuration: Configuration): Buffer {
  const {chunking, compression, encryption, hashing, packfile, repositoryId, timestamp} = configuration
  const out = new MsgpackWriter().map(7)
  out.string('Timestamp').timestamp(timestamp)
  out.string('RepositoryID').bin(repositoryId)
  out.string('Packfile').map(3)
  out.string('MinSize').uint64(packfile.minSize)
  out.string('AvgSize').uint64(packfile.avgSize)
  out.string('MaxSize').uint64(packfile.maxSize)
  out.string('Chunking').map(4)
  out.string('Algorithm').string(chunking.algorithm)
  out.string('MinSize').uint32(chunking.minSize)
  out.string('NormalSize').uint32(chunking.normalSize)
  out.string('MaxSize').uint32(chunking.maxSize)
  out.string('Hashing').map(2)
  out.string('Algorithm').string(hashing.algorithm)
  out.string('Bits').uint32(hashing.bits)
  out.string('Compression')
  if (compression) encodeCompression(out, compression)
  else out.nil()
  out.string('Encryption')
  if (encryption) encodeEncryption(out, encryption)
  else out.nil()
  return out.bytes()
}

/**
 * Opens CONFIG's envelope: header, version, content, and the MAC when it can be checked: of a plaintext store always, of
 * an encrypted one with its secret.
 * @throws StoreFormatError | VersionError
 */
export async function openConfiguration(
  bytes: Uint8Array,
  {secret, what = 'CONFIG'}: {readonly secret?: Uint8Array | undefined; readonly what?: string} = {},
): Promise<Configuration> {
  const header = parseHeader(bytes, what)
  checkHeader(header, 'config', what)
  const {data} = openEnvelope(bytes, {resource: 'config', what})
  const configuration = decodeConfiguration(data, header.version)
  if (configuration.encryption && !secret) return configuration
  const hasher = await createHasher(CONFIG_HASHING, configuration.encryption ? secret : undefined)
  openEnvelope(bytes, {hasher, resource: 'config', what})
  return configuration
}

/** CONFIG's bytes. @param secret of an encrypted store; the MAC is keyed by it */
export async function sealConfiguration(configuration: Configuration, secret?: Uint8Array): Promise<Buffer> {
  if (configuration.encryption && !secret) {
    throw new InvalidArgumentError('the configuration of an encrypted store is sealed with its secret')
  }

  const hasher = await createHasher(CONFIG_HASHING, configuration.encryption ? secret : undefined)
  return sealEnvelope(encodeConfiguration(configuration), {
    hasher,
    resource: 'config',
    version: KNOWN_VERSIONS.config[0]!,
  })
}

/** @throws VersionError when the store hashes in a way that this program does not know */
export function hashingOf({hashing: {algorithm}}: Configuration): Hashing {
  if (isHashing(algorithm)) return algorithm
  throw new VersionError(`CONFIG: hashing "${algorithm.slice(0, 40)}" is not known, only ${HASHINGS.join(' and ')}`, {
    facts: {actual: algorithm.slice(0, 40), expected: HASHINGS.join(' ')},
  })
}

/**
 * The key of every MAC in the store: its secret, or in a plaintext store one that follows from its identifier.
 * @returns undefined for an encrypted store whose secret is not given
 * @throws VersionError
 */
export async function macKeyOf(configuration: Configuration, secret?: Uint8Array): Promise<Buffer | undefined> {
  const hashing = hashingOf(configuration)
  if (configuration.encryption) return secret && Buffer.from(secret)
  return plaintextKey(hashing, configuration.repositoryId)
}

export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex')
}
