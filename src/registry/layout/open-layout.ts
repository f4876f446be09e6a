import fs from 'node:fs/promises'
import {resolve} from 'node:path'

import type {CallOptions} from '../interfaces.js'

import {InvalidArgumentError, NotFoundError, VersionError} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {type Clock, systemClock} from '../../util/clock.js'
import {errnoOf, fileOperation} from '../../util/fs-error.js'
import {isObject} from '../../util/json.js'
import {damagedMarker, MARKER_IS_MISSING} from './damage.js'
import {LayoutFiles, PRIVATE_DIR, statOrNone} from './files.js'
import {LayoutIndex} from './index-model.js'
import {IndexStore} from './index-store.js'
import {LayoutLock} from './lock.js'
import {LayoutRepository} from './repository.js'

/** The one version of the format that there is. */
const LAYOUT_VERSION = '1.0.0'

const MAX_MARKER_BYTES = 64 * 1024

export interface LayoutOptions extends CallOptions {
  /** Makes the layout also in a folder that holds other things: repositories one inside the other. */
  readonly amongOthers?: boolean | undefined
  readonly clock?: Clock | undefined
  /** Makes the layout when there is none. */
  readonly create?: boolean | undefined
  /** False skips every fsync: faster, and a power cut may cost what was written last. Default true. */
  readonly durable?: boolean | undefined
  /** How long a write waits for another process that holds the layout's lock. A minute by default. */
  readonly lockWaitMs?: number | undefined
  /** Refuses every write. Reading needs no lock and no write permission either way. */
  readonly readOnly?: boolean | undefined
}

/**
 * Opens an OCI image-layout directory.
 * @throws NotFoundError when there is none and `create` is not set
 * @throws VersionError when its version is not 1.0.0 | KlosetOciError (`DAMAGE`) when it is damaged | LocalIoError
 */
export async function openLayout(path: string, options: LayoutOptions = {}): Promise<LayoutRepository> {
  const {
    amongOthers = false,
    clock = systemClock,
    create = false,
    durable = true,
    lockWaitMs,
    readOnly = false,
    signal,
  } = options
  throwIfAborted(signal)
  if (path === '' || path.includes('\0')) throw new InvalidArgumentError('oci-layout: no path')
  const root = resolve(path)
  const files = new LayoutFiles(root, {durable})
  if (!(await readMarker(files, path))) {
    if (!create || readOnly) throw await noLayout(files, path)
    await makeLayout(files, path, amongOthers)
  }

  throwIfAborted(signal)
  const lock = new LayoutLock(files, {clock, waitMs: lockWaitMs})
  const index = new IndexStore(files, lock, clock)
  await index.read(signal)
  return new LayoutRepository({files, index, isReadOnly: readOnly, location: `oci-layout:${path}`}, clock)
}

/** @returns false when there is no marker, and so no layout */
async function readMarker({markerPath, root}: LayoutFiles, path: string): Promise<boolean> {
  const folder = await fs.stat(root).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return
    return fileOperation('read', root, () => Promise.reject(error))
  })
  if (!folder) return false
  if (!folder.isDirectory()) {
    throw new InvalidArgumentError(`oci-layout:${path}: not a folder`, {
      suggestions: ['Give the folder of an image layout; unpack an archive first.'],
    })
  }

  const marker = await statOrNone(markerPath)
  if (!marker) return false
  if (marker.size > MAX_MARKER_BYTES || !marker.isFile()) throw damagedMarker(markerPath, 'not an oci-layout file')
  const text = await fileOperation('read', markerPath, () => fs.readFile(markerPath, 'utf8'))
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw damagedMarker(markerPath, 'not JSON', {cause: error})
  }

  const version = isObject(value) ? value['imageLayoutVersion'] : undefined
  if (typeof version !== 'string') throw damagedMarker(markerPath, 'no imageLayoutVersion')
  if (version === LAYOUT_VERSION) return true
  throw new VersionError(`${markerPath}: image layout version ${version.slice(0, 40)}, known is ${LAYOUT_VERSION}`, {
    facts: {path: markerPath, version: version.slice(0, 40)},
  })
}

/** Makes an empty layout. The marker comes last: a folder without it is no layout yet. */
async function makeLayout(files: LayoutFiles, path: string, amongOthers: boolean): Promise<void> {
  await files.makeDir(files.root)
  const names = await fileOperation('list', files.root, () => fs.readdir(files.root))
  const foreign = names.filter((name) => !['blobs', 'index.json', PRIVATE_DIR].includes(name))
  if (foreign.length > 0 && !amongOthers) {
    throw new InvalidArgumentError(`oci-layout:${path}: not an image layout, and not empty either`, {
      facts: {found: foreign.slice(0, 3).join(', ')},
      suggestions: ['Give an empty folder, or one that does not exist yet.'],
    })
  }

  await files.makeDir(files.blobDir('sha256'))
  if (!names.includes('index.json')) {
    const empty = new LayoutIndex().serialise(new Set(), [])
    await files.writeAtomically(files.indexPath, empty)
  }

  const marker = Buffer.from(JSON.stringify({imageLayoutVersion: LAYOUT_VERSION}))
  await files.writeAtomically(files.markerPath, [marker])
}

async function noLayout({indexPath}: LayoutFiles, path: string): Promise<NotFoundError> {
  const isUnmarked = await statOrNone(indexPath).catch(() => {})
  return new NotFoundError(`oci-layout:${path}: no image layout there`, {
    facts: {path},
    suggestions: [
      ...(isUnmarked ? [MARKER_IS_MISSING] : []),
      'Check the path. An image layout is a folder with a file named oci-layout; `create` makes a new one.',
    ],
  })
}
