import type {Readable} from 'node:stream'

import {constants} from 'node:fs'
import fs from 'node:fs/promises'

import type {LayoutFiles} from './files.js'

import {IntegrityError, NotFoundError, ProtocolError} from '../../errors.js'
import {FileBytes} from '../../util/file-bytes.js'
import {errnoOf, fileOperation, localIoError} from '../../util/fs-error.js'
import {type Digest} from '../digest.js'
import {type CutRange} from '../local/range.js'

/** Never follows a symbolic link, and never waits on a pipe that somebody put in a blob's place. */
// eslint-disable-next-line no-bitwise -- flags of the system are made so
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** A blob's open file. Close it, or hand it to `streamBlob`, which does. */
export interface OpenBlob {
  readonly handle: fs.FileHandle
  readonly path: string
  readonly size: number
}

/** @throws NotFoundError, also when it is a folder or a pipe | ProtocolError when it is a link | LocalIoError */
export async function openBlob(files: LayoutFiles, digest: Digest): Promise<OpenBlob> {
  const path = files.blobPath(digest)
  const handle = await fs.open(path, OPEN_FLAGS).catch((error: unknown) => {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') throw noBlob(files, digest)
    if (errno === 'ELOOP') throw isLink(path)
    if (errno === 'ENXIO') throw noFile(files, digest)
    throw localIoError(error, 'read', path)
  })
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw noFile(files, digest)
    return {handle, path, size: stats.size}
  } catch (error) {
    await handle.close()
    throw localIoError(error, 'read', path)
  }
}

/** The size of a blob's file. @throws as `openBlob` does */
export async function sizeOfBlob(files: LayoutFiles, digest: Digest): Promise<number> {
  const path = files.blobPath(digest)
  const stats = await fs.lstat(path).catch((error: unknown) => {
    const errno = errnoOf(error)
    throw errno === 'ENOENT' || errno === 'ENOTDIR' ? noBlob(files, digest) : localIoError(error, 'read', path)
  })
  if (stats.isSymbolicLink()) throw isLink(path)
  if (!stats.isFile()) throw noFile(files, digest)
  return stats.size
}

/** Streams a blob's file and closes it at the end. */
export function streamBlob({handle}: OpenBlob): Readable {
  return new FileBytes({file: handle})
}

/**
 * Reads a range and closes the file.
 * @throws IntegrityError when the file has become shorter
 */
export async function readRange({handle, path}: OpenBlob, digest: Digest, {end, start}: CutRange): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(end - start)
  try {
    let done = 0
    while (done < buffer.length) {
      const at = done
      const {bytesRead} = await fileOperation('read', path, () =>
        handle.read(buffer, at, buffer.length - at, start + at),
      )
      if (bytesRead === 0) {
        throw shortened(digest, start + done, end)
      }

      done += bytesRead
    }
  } finally {
    await handle.close()
  }

  return buffer
}

/** Streams a range and closes the file at the end. A file that has become shorter is an `IntegrityError`. */
export function streamRange({handle}: OpenBlob, digest: Digest, {end, start}: CutRange): Readable {
  return new FileBytes({end, file: handle, shortened: (position) => shortened(digest, position, end), start})
}

/** Reads a blob that a manifest may be. @throws ProtocolError when it is larger than any manifest */
export async function readWhole(blob: OpenBlob, digest: Digest, limit: number): Promise<Buffer> {
  const {handle, path, size} = blob
  if (size <= limit) return readRange(blob, digest, {end: size, start: 0})
  await handle.close()
  throw new ProtocolError(`${path}: ${size} bytes, more than a manifest may have`, {facts: {digest, limit, size}})
}

function shortened(digest: Digest, actual: number, end: number): IntegrityError {
  return new IntegrityError(`content of ${digest} ended after ${actual} bytes, expected ${end} or more`, {
    facts: {actualSize: actual, expected: digest},
  })
}

function noBlob({root}: LayoutFiles, digest: Digest): NotFoundError {
  return new NotFoundError(`oci-layout:${root}: no blob ${digest}`, {facts: {digest}})
}

/** Its bytes are gone: whatever has taken its name holds none. */
function noFile(files: LayoutFiles, digest: Digest): NotFoundError {
  const path = files.blobPath(digest)
  return new NotFoundError(`oci-layout:${files.root}: no blob ${digest}: what lies in its place is no file`, {
    facts: {digest, path},
    suggestions: [`Move ${path} away, then bring the blob back.`],
  })
}

/** What it leads to may well be the blob; a link is not followed, wherever it may lead. */
function isLink(path: string): ProtocolError {
  return new ProtocolError(`${path}: a symbolic link, which is not followed`, {
    facts: {path},
    suggestions: ['Put the file itself in the place of the link.'],
  })
}
