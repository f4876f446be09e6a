import type {BigIntStats} from 'node:fs'

import fs from 'node:fs/promises'

import type {LayoutFiles} from './files.js'

import {ProtocolError, UnsupportedError} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {errnoOf, fileOperation, localIoError} from '../../util/fs-error.js'
import {damagedIndex} from './damage.js'
import {discard} from './files.js'
import {type IndexEntry, Interner, parseEntry} from './index-entry.js'
import {type IndexDraft, LayoutIndex} from './index-model.js'
import {IndexScanner} from './index-scan.js'

/** Beyond these an index is refused: a layout is read by programs that hold it in memory. */
const MAX_INDEX_BYTES = 512 * 1024 * 1024
const MAX_INDEX_ENTRIES = 1_000_000

const READ_BYTES = 256 * 1024

/** File systems tell times in steps of up to 10 ms: a file changed again within one step may look the same. */
export const TIME_STEP_MS = 20

/** What a file's status says of its content: equal stamps mean an unchanged index. */
export interface IndexStamp {
  /** False when the file was so new that a second change could have gone unseen. */
  readonly isSettled: boolean
  readonly text: string
}

export interface LoadedIndex {
  readonly index: LayoutIndex
  readonly stamp: IndexStamp
}

export function stampOf(stats: BigIntStats): IndexStamp {
  const {ctimeMs, ctimeNs, dev, ino, mtimeNs, size} = stats
  return {
    isSettled: Date.now() - Number(ctimeMs) > TIME_STEP_MS,
    text: [dev, ino, size, mtimeNs, ctimeNs].join(':'),
  }
}

/** @throws KlosetOciError (`DAMAGE`) when there is no index: a layout without one is damaged */
export async function stampIndex({indexPath}: LayoutFiles): Promise<IndexStamp> {
  // Of the file that is read, should the index be a link to it: the stamps of both are compared.
  const stats = await fs.stat(indexPath, {bigint: true}).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw localIoError(error, 'read', indexPath)
  })
  if (stats) return stampOf(stats)
  throw missingIndex(indexPath)
}

/**
 * Reads `index.json`.
 * @throws KlosetOciError (`DAMAGE`) when it is missing or not an image index | UnsupportedError when it is too large
 */
export async function loadIndex({indexPath}: LayoutFiles, signal?: AbortSignal): Promise<LoadedIndex> {
  const handle = await fs.open(indexPath, 'r').catch((error: unknown) => {
    throw errnoOf(error) === 'ENOENT' ? missingIndex(indexPath) : localIoError(error, 'read', indexPath)
  })
  try {
    const stats = await handle.stat({bigint: true})
    if (!stats.isFile()) throw damagedIndex(indexPath, `${indexPath}: not a regular file`)
    if (stats.size > MAX_INDEX_BYTES) {
      throw new UnsupportedError(`${indexPath}: ${stats.size} bytes, more than ${MAX_INDEX_BYTES}`, {
        facts: {limit: MAX_INDEX_BYTES, path: indexPath, size: Number(stats.size)},
        suggestions: [
          'Look at the file: an index of this size is hardly one. Keep a store of so many objects in a registry.',
        ],
      })
    }

    const entries: IndexEntry[] = []
    const interner = new Interner()
    const scanner = new IndexScanner(indexPath, (json) => {
      if (entries.length >= MAX_INDEX_ENTRIES) throw tooManyManifests(indexPath)

      entries.push(parseEntry(json, `${indexPath}: manifests[${entries.length}]`, interner))
    })
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (;;) {
      throwIfAborted(signal)
      const {bytesRead} = await fileOperation('read', indexPath, () => handle.read(buffer, 0, READ_BYTES))
      if (bytesRead === 0) break
      scanner.push(buffer.subarray(0, bytesRead))
    }

    return {index: new LayoutIndex(entries, scanner.end()), stamp: stampOf(stats)}
  } catch (error) {
    // Of a registry's answer this is a broken protocol; of a file of ours it is damage.
    if (!(error instanceof ProtocolError)) throw error
    throw damagedIndex(indexPath, error.message, {cause: error.cause, facts: error.facts})
  } finally {
    await handle.close()
  }
}

export type SaveResult = {readonly saved: false} | {readonly saved: true; readonly stamp: IndexStamp}

/**
 * Replaces `index.json` by the draft, atomically. Call with the lock held.
 * @param isCurrent is asked last, before the file is replaced: false leaves everything as it is
 */
export async function saveIndex(
  files: LayoutFiles,
  draft: IndexDraft,
  isCurrent: () => Promise<boolean>,
): Promise<SaveResult> {
  if (draft.size > MAX_INDEX_ENTRIES) throw tooManyManifests(files.indexPath)

  const {handle, path} = await files.temporary()
  try {
    for (const piece of draft.serialise()) {
      await fileOperation('write', files.indexPath, () => handle.writeFile(piece))
    }

    // What the index names is on the disk before the index is.
    await files.syncDirs()
    if (!(await isCurrent())) {
      await discard(handle, path)
      return {saved: false}
    }

    await files.install(handle, path, files.indexPath)
    await files.syncDirs()
  } catch (error) {
    await discard(handle, path)
    throw error
  }

  return {saved: true, stamp: await stampIndex(files)}
}

function missingIndex(path: string): Error {
  return damagedIndex(path, `${path}: missing, though the folder is marked as an image layout`)
}

function tooManyManifests(path: string): UnsupportedError {
  return new UnsupportedError(`${path}: more than ${MAX_INDEX_ENTRIES} manifests`, {
    facts: {limit: MAX_INDEX_ENTRIES, path},
    suggestions: ['Remove objects, or keep a store of that size in a registry.'],
  })
}
