import type {Mac} from '../mac.js'

import {type Version} from '../version.js'
import {MsgpackReader} from './msgpack-reader.js'
import {int, mac, struct, text, uint32} from './struct.js'

/** A file that could not be backed up, and why. @see kloset snapshot/vfs/errors.go */
export interface BackupError {
  readonly error: string
  /** The file's path. */
  readonly name: string
  readonly version: Version
}

/** An extended attribute, or on Windows a data stream. @see kloset snapshot/vfs/xattr.go */
export interface ExtendedAttribute {
  readonly name: string
  readonly object: Mac | undefined
  readonly path: string
  readonly size: number
  /** 0 extended, 1 data stream, 2 custom. */
  readonly type: number
  readonly version: Version
}

const readBackupError = struct<BackupError>({error: text('error'), name: text('name'), version: uint32('version')})

const readAttribute = struct<ExtendedAttribute>({
  name: text('name'),
  object: mac('object'),
  path: text('path'),
  size: int('size'),
  type: uint32('type'),
  version: uint32('version'),
})

/** @throws StoreFormatError */
export function decodeBackupError(content: Buffer, what: string): BackupError {
  const reader = new MsgpackReader(content, what)
  const error = readBackupError(reader)
  reader.end()
  return error
}

/** @throws StoreFormatError */
export function decodeAttribute(content: Buffer, what: string): ExtendedAttribute {
  const reader = new MsgpackReader(content, what)
  const attribute = readAttribute(reader)
  reader.end()
  return attribute
}

/** The key of an extended attribute in its tree. */
export function attributeKey(path: string, name: string): string {
  return `${path}${name}:`
}
