import type {Mac} from '../mac.js'
import type {Timestamp} from '../timestamp.js'

import {StoreFormatError} from '../../errors.js'
import {type Version} from '../version.js'
import {kindOfMode} from './mode.js'
import {MsgpackReader} from './msgpack-reader.js'
import {isCleanPath, joinPath} from './path.js'
import {
  bytes,
  EPOCH,
  type Field,
  float,
  int,
  int64,
  list,
  mac,
  nested,
  struct,
  text,
  texts,
  time,
  uint32,
} from './struct.js'
import {EMPTY_SUMMARY, readSummary, type Summary} from './summary.js'

/** What the file system said of a file. @see kloset objects/fileinfo.go */
export interface FileInfo {
  readonly dev: bigint
  readonly flags: number
  readonly gid: number
  readonly group: string
  readonly ino: bigint
  /** Go's bits: `kindOfMode` and `permissionsOfMode` read them. */
  readonly mode: number
  readonly modTime: Timestamp
  /** One part of a path; bytes that are not UTF-8 are kept (`nameToBytes`). */
  readonly name: string
  readonly nlink: number
  readonly size: number
  readonly uid: number
  readonly user: string
}

export interface CustomMetadata {
  readonly key: string
  readonly value: Buffer
}

/** A file, folder or whatever else there is in a snapshot. @see kloset snapshot/vfs/entry.go */
export interface Entry {
  readonly alternateDataStreams: readonly string[]
  readonly chunks: number
  readonly contentType: string
  readonly customMetadata: readonly CustomMetadata[]
  readonly entropy: number
  readonly extendedAttributes: readonly string[]
  readonly fileAttributes: number
  readonly info: FileInfo
  /** The object that holds a file's content; none for what is not a file. */
  readonly object: Mac | undefined
  readonly parentPath: string
  /** Absolute and clean. */
  readonly path: string
  readonly securityDescriptor: Buffer
  readonly summary: Summary
  readonly symlinkTarget: string
  readonly tags: readonly string[]
  readonly version: Version
}

const readInfo = struct<FileInfo>({
  dev: int64('dev'),
  flags: uint32('flags'),
  gid: int('gid'),
  group: text('groupname'),
  ino: int64('ino'),
  mode: uint32('mode'),
  modTime: time('mod_time'),
  name: text('name'),
  nlink: int('nlink'),
  size: int('size'),
  uid: int('uid'),
  user: text('username'),
})
const NO_INFO: FileInfo = {
  dev: 0n,
  flags: 0,
  gid: 0,
  group: '',
  ino: 0n,
  mode: 0,
  modTime: EPOCH,
  name: '',
  nlink: 0,
  size: 0,
  uid: 0,
  user: '',
}
const readMetadata = struct<CustomMetadata>({key: text('key'), value: bytes('value')})

/** The path is written in no field: it is put in afterwards. */
const notWritten: Field<string> = {
  name: '',
  read(reader) {
    reader.skip()
    return ''
  },
  zero: '',
}

const readRaw = struct<Omit<Entry, 'path'> & {path: string}>({
  alternateDataStreams: texts('alternate_data_streams'),
  chunks: float('chunks'),
  contentType: text('content_type'),
  customMetadata: list('custom_metadata', readMetadata),
  entropy: float('entropy'),
  extendedAttributes: texts('extended_attributes'),
  fileAttributes: uint32('file_attributes'),
  info: nested('file_info', readInfo, NO_INFO),
  object: mac('object'),
  parentPath: text('parent_path'),
  path: notWritten,
  securityDescriptor: bytes('security_descriptor'),
  summary: nested('summary', readSummary, EMPTY_SUMMARY),
  symlinkTarget: text('symlink_target'),
  tags: texts('tags'),
  version: uint32('version'),
})

/**
 * Decodes an entry. Its path is proven to be one: nobody who joins it to a folder leaves that folder by it, though a
 * symbolic link on the way may still lead outside.
 * @param what names the entry in errors
 * @throws StoreFormatError
 */
export function decodeEntry(content: Buffer, what: string): Entry {
  const reader = new MsgpackReader(content, what)
  const entry = readRaw(reader)
  reader.end()
  const {info, parentPath} = entry
  const root = info.name === '/' && (parentPath === '/' || parentPath === '')
  if (!root && !isPathPart(info.name)) {
    throw new StoreFormatError(`${what}: ${JSON.stringify(info.name)} is not the name of a file`)
  }

  if (!root && !isCleanPath(parentPath)) {
    throw new StoreFormatError(`${what}: ${JSON.stringify(parentPath)} is not the path of a folder`)
  }

  entry.path = joinPath(parentPath, info.name)
  return entry
}

export function isDirectory({info}: Entry): boolean {
  return kindOfMode(info.mode) === 'directory'
}

function isPathPart(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0')
}
