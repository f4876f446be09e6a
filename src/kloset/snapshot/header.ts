import type {Mac} from '../mac.js'
import type {Timestamp} from '../timestamp.js'

import {StoreFormatError, VersionError} from '../../errors.js'
import {formatVersion, makeVersion, type Version} from '../version.js'
import {MsgpackReader} from './msgpack-reader.js'
import {bytes, float, list, mac, nested, struct, text, texts, time, uint32} from './struct.js'
import {EMPTY_SUMMARY, readSummary, type Summary} from './summary.js'

/** The newest version of a header that this program knows. */
const KNOWN_VERSION = makeVersion(1, 0, 0)

export interface KeyValue {
  readonly key: string
  readonly value: string
}

/** Where a source came from. */
export interface Importer {
  /** The root of what was backed up: `plakar ls` shows it. */
  readonly directory: string
  readonly origin: string
  readonly type: string
}

/** A tree beside the files: `content-type`, `dirpack` or `summary`. */
export interface SnapshotIndex {
  readonly name: string
  readonly type: string
  readonly value: Mac | undefined
}

/** The roots of a source's trees: files, what could not be backed up, extended attributes. */
export interface Roots {
  readonly errors: Mac | undefined
  readonly root: Mac | undefined
  readonly xattrs: Mac | undefined
}

/** One source of a snapshot. */
export interface Source {
  readonly context: readonly KeyValue[]
  readonly importer: Importer
  readonly indexes: readonly SnapshotIndex[]
  readonly summary: Summary
  readonly vfs: Roots
}

export interface ClassScore {
  readonly name: string
  readonly probability: number
}

export interface Classification {
  readonly analyzer: string
  readonly classes: readonly ClassScore[]
}

/** Who signed a snapshot. */
export interface Identity {
  /** 16 bytes, all zeros when nobody did. */
  readonly identifier: Buffer
  /** Ed25519. */
  readonly publicKey: Buffer
}

/** @see kloset snapshot/header/header.go */
export interface SnapshotHeader {
  readonly category: string
  readonly classifications: readonly Classification[]
  readonly context: readonly KeyValue[]
  readonly dataClasses: readonly string[]
  readonly dataset: string
  /** Nanoseconds that the backup took; beyond 104 days it is rounded. */
  readonly duration: number
  readonly environment: string
  readonly identifier: Mac
  readonly identity: Identity
  readonly job: string
  readonly name: string
  readonly perimeter: string
  readonly replicas: number
  readonly sources: readonly Source[]
  readonly tags: readonly string[]
  readonly timestamp: Timestamp
  readonly version: Version
}

const readKeyValue = struct<KeyValue>({key: text('key'), value: text('value')})
const readClass = struct<ClassScore>({name: text('name'), probability: float('probability')})
const readImporter = struct<Importer>({directory: text('directory'), origin: text('origin'), type: text('type')})
const readIndex = struct<SnapshotIndex>({name: text('name'), type: text('type'), value: mac('value')})
const readRoots = struct<Roots>({errors: mac('errors'), root: mac('root'), xattrs: mac('xattrs')})
const readClassification = struct<Classification>({
  analyzer: text('analyzer'),
  classes: list('classes', readClass),
})
const readIdentity = struct<Identity>({
  identifier: bytes('identifier', Buffer.alloc(16)),
  publicKey: bytes('public_key'),
})
const readSource = struct<Source>({
  context: list('context', readKeyValue),
  importer: nested('importer', readImporter, {directory: '', origin: '', type: ''}),
  indexes: list('indexes', readIndex),
  summary: nested('summary', readSummary, EMPTY_SUMMARY),
  vfs: nested('root', readRoots, {errors: undefined, root: undefined, xattrs: undefined}),
})
const readHeader = struct<Omit<SnapshotHeader, 'identifier'> & {readonly identifier: Mac | undefined}>({
  category: text('category'),
  classifications: list('classifications', readClassification),
  context: list('context', readKeyValue),
  dataClasses: texts('data_classes'),
  dataset: text('dataset'),
  duration: float('duration'),
  environment: text('environment'),
  identifier: mac('identifier'),
  identity: nested('identity', readIdentity, {identifier: Buffer.alloc(16), publicKey: Buffer.alloc(0)}),
  job: text('job'),
  name: text('name'),
  perimeter: text('perimeter'),
  replicas: uint32('replicas'),
  sources: list('sources', readSource),
  tags: texts('tags'),
  timestamp: time('timestamp'),
  version: uint32('version'),
})

/**
 * Decodes the content of a snapshot blob.
 * @param identifier the blob's MAC, which the header repeats
 * @throws StoreFormatError when it is not a header, or another snapshot's
 * @throws VersionError when it is newer than this program
 */
export function decodeHeader(content: Buffer, identifier: Mac): SnapshotHeader {
  const what = `snapshot ${identifier}`
  const reader = new MsgpackReader(content, what)
  const header = readHeader(reader)
  reader.end()
  if (header.version > KNOWN_VERSION) {
    const [actual, known] = [formatVersion(header.version), formatVersion(KNOWN_VERSION)]
    throw new VersionError(`${what}: header version ${actual} is newer than ${known}`, {
      facts: {actual, expected: known},
      suggestions: ['Update kloset-oci: the snapshot was made by a newer plakar, perhaps.'],
    })
  }

  if (header.identifier !== identifier) {
    throw new StoreFormatError(`${what}: holds the header of ${header.identifier ?? 'no snapshot'}`, {
      facts: {actual: header.identifier ?? '', expected: identifier},
    })
  }

  return {...header, identifier}
}

/** Whether somebody signed the snapshot: a signature blob under the same MAC belongs to it. */
export function isSigned({identity}: SnapshotHeader): boolean {
  return identity.identifier.some((byte) => byte !== 0)
}

/** Bytes of all files, as `plakar ls` shows them. */
export function logicalSize({sources}: SnapshotHeader): number {
  let size = 0
  for (const {summary} of sources) size += summary.directory.size + summary.below.size
  return size
}
