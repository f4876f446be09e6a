import {createHash} from 'node:crypto'

import type {Mac} from '../../src/kloset/mac.js'
import type {BlobReader} from '../../src/kloset/snapshot/index.js'

import {BLOB_TYPES} from '../../src/kloset/blob-type.js'
import {HasherPool} from '../../src/kloset/hashing.js'
import {comparePaths, Snapshot} from '../../src/kloset/snapshot/index.js'
import {ContentReader} from '../../src/restore/content.js'
import {BlobBox, bytesOf} from '../unit/kloset/snapshot/trees.js'

/** Go's bits of a mode. */
export const MODE = {
  directory: 0x80_00_00_00,
  pipe: 0x02_00_00_00,
  setuid: 0x00_80_00_00,
  symlink: 0x08_00_00_00,
} as const

/** One path of a snapshot that a test makes; a path that ends in `/` is a folder. */
export interface MadeEntry {
  /** Names of extended attributes. */
  readonly attributes?: readonly string[]
  /** Pieces of the content. */
  readonly chunks?: readonly Buffer[]
  readonly info?: object
  readonly link?: string
  readonly mode?: number
  /** Says that the whole has another MAC than it has. */
  readonly wrongMac?: boolean
}

export interface MadeSnapshot {
  readonly box: BlobBox
  readonly chunks: Map<Mac, Buffer>
  readonly content: ContentReader
  /** The MACs of entries by path. */
  readonly entries: ReadonlyMap<string, Mac>
  readonly snapshot: Snapshot
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest()

/** A snapshot of the given entries, whatever they are, rooted at `/`. */
export async function madeSnapshot(paths: Readonly<Record<string, MadeEntry | string>>): Promise<MadeSnapshot> {
  const box = new BlobBox()
  const chunks = new Map<Mac, Buffer>()
  const read: BlobReader = async (type, mac) => {
    const chunk = type === BLOB_TYPES.chunk ? chunks.get(mac) : undefined
    return chunk ?? box.read(type, mac)
  }

  const entries = new Map<string, Mac>([['/', putEntry(box, '/', {mode: MODE.directory + 0o755}, chunks)]])
  for (const [path, given] of Object.entries(paths)) {
    const entry = typeof given === 'string' ? {chunks: [Buffer.from(given)]} : given
    entries.set(path.replace(/\/$/, '') || '/', putEntry(box, path, entry, chunks))
  }

  const tree = {compare: comparePaths, nodeType: BLOB_TYPES.vfsNode, rootType: BLOB_TYPES.vfsBtree}
  const root = box.tree(entries, tree)
  const id = '5a'.repeat(32) as Mac
  const sources = [{importer: {directory: '/', origin: 'test', type: 'fs'}, root: {root: bytesOf(root)}}]
  box.put(BLOB_TYPES.snapshot, {identifier: bytesOf(id), sources, timestamp: new Date(0), version: 65_536}, id)
  const content = new ContentReader({hashers: new HasherPool('SHA256'), read})
  return {box, chunks, content, entries, snapshot: await Snapshot.open(read, id)}
}

function putEntry(box: BlobBox, path: string, entry: MadeEntry, chunks: Map<Mac, Buffer>): Mac {
  const clean = path === '/' ? '/' : path.replace(/\/$/, '')
  const at = clean.lastIndexOf('/')
  const name = clean === '/' ? '/' : clean.slice(at + 1)
  const pieces = entry.chunks ?? []
  const whole = Buffer.concat(pieces)
  const kind = entry.link === undefined ? (path.endsWith('/') ? MODE.directory + 0o755 : 0o644) : MODE.symlink + 0o777
  const records = pieces.map((piece) => {
    const mac = sha256(piece)
    chunks.set(mac.toString('hex') as Mac, piece)
    return {contentMAC: mac, length: piece.length}
  })
  const contentMac = sha256(entry.wrongMac ? Buffer.concat([whole, whole]) : whole)
  const object = pieces.length > 0 ? box.put(BLOB_TYPES.object, {chunks: records, contentMAC: contentMac}) : undefined
  const time = new Date(1_000_000_000_000)
  /* eslint-disable camelcase -- kloset's names */
  return box.put(BLOB_TYPES.vfsEntry, {
    ...(entry.attributes && {extended_attributes: entry.attributes}),
    file_info: {mod_time: time, mode: entry.mode ?? kind, name, nlink: 1, size: whole.length, ...entry.info},
    ...(object && {object: bytesOf(object)}),
    parent_path: at <= 0 ? '/' : clean.slice(0, at),
    symlink_target: entry.link ?? '',
    version: 65_536,
  })
  /* eslint-enable camelcase */
}
