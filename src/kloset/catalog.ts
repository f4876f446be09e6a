import {pMapIterable} from 'p-map'

import type {StoreContents} from './contents.js'
import type {Mac} from './mac.js'

import {InvalidArgumentError, NotFoundError} from '../errors.js'
import {isObjectFault} from './faults.js'
import {type Counts, logicalSize, type SnapshotHeader} from './snapshot/index.js'
import {formatTimestamp, timestampToMillis} from './timestamp.js'

/** Candidates named when a prefix fits more than one snapshot. */
const MAX_CANDIDATES = 5

/** What a listing says of a snapshot: some hundred bytes. */
export interface ListedSnapshot {
  readonly directories: number
  /** Seconds that the backup took. */
  readonly duration: number
  /** Files that could not be backed up. */
  readonly errors: number
  readonly files: number
  readonly id: Mac
  readonly job: string
  readonly name: string
  readonly origin: string
  /** What was backed up. */
  readonly root: string
  /** Bytes of all files, before they were cut, shared and compressed. */
  readonly size: number
  readonly sources: number
  readonly tags: readonly string[]
  /** RFC 3339. */
  readonly timestamp: string
  readonly type: string
}

/** A snapshot whose header cannot be read. */
export interface BrokenSnapshot {
  readonly error: unknown
  readonly id: Mac
}

export interface SnapshotFilter {
  /** Milliseconds since the epoch: only older ones. */
  readonly before?: number | undefined
  /** Only the newest of those that are left. */
  readonly latest?: boolean | undefined
  readonly name?: string | undefined
  /** Milliseconds since the epoch: only those of that time or newer. */
  readonly since?: number | undefined
  /** All of them. */
  readonly tags?: readonly string[] | undefined
}

export interface SnapshotList {
  readonly broken: readonly BrokenSnapshot[]
  /** The newest first. */
  readonly snapshots: readonly ListedSnapshot[]
}

/** Snapshots that plakar lists too, the newest first. @throws what the registry throws when it fails */
export async function listSnapshots(
  contents: StoreContents,
  filter: SnapshotFilter = {},
  concurrency = 8,
): Promise<SnapshotList> {
  const found: {readonly listed: ListedSnapshot; readonly time: number}[] = []
  const broken: BrokenSnapshot[] = []
  const headers = pMapIterable(contents.index.snapshots(), async ({mac}) => readHeader(contents, mac), {concurrency})
  for await (const {error, header, id} of headers) {
    if (!header) {
      broken.push({error, id})
      continue
    }

    if (!fits(header, filter)) continue
    const {nanoseconds, seconds} = header.timestamp
    found.push({listed: describeSnapshot(header), time: seconds * 1000 + nanoseconds / 1_000_000})
  }

  found.sort((a, b) => b.time - a.time || (a.listed.id < b.listed.id ? -1 : 1))
  const snapshots = found.map(({listed}) => listed)
  return {broken, snapshots: filter.latest ? snapshots.slice(0, 1) : snapshots}
}

/**
 * The one snapshot whose identifier begins with `prefix`, or the newest for `latest`.
 * @throws InvalidArgumentError when it fits several, or is no prefix of an identifier
 * @throws NotFoundError
 */
export async function resolveSnapshot(contents: StoreContents, prefix: string): Promise<Mac> {
  if (prefix === 'latest') {
    const [newest] = (await listSnapshots(contents, {latest: true})).snapshots
    if (newest) return newest.id
    throw new NotFoundError('the store has no snapshot that can be read')
  }

  const lower = prefix.toLowerCase()
  if (!/^[\da-f]{1,64}$/.test(lower)) {
    throw new InvalidArgumentError(`not the beginning of a snapshot's identifier: "${prefix.slice(0, 80)}"`, {
      suggestions: [
        ...(prefix.includes(':') ? ['Here the path is an argument of its own: ID PATH.'] : []),
        '`snapshot ls` shows what is there.',
      ],
    })
  }

  const found: Mac[] = []
  for (const {mac} of contents.index.snapshots()) if (mac.startsWith(lower)) found.push(mac)
  const [first] = found
  if (first === undefined) {
    throw new NotFoundError(`no snapshot begins with ${lower}`, {
      facts: {prefix: lower},
      suggestions: ['`snapshot ls` shows what is there.'],
    })
  }

  if (found.length === 1) return first
  const shown = found.slice(0, MAX_CANDIDATES)
  throw new InvalidArgumentError(`${found.length} snapshots begin with ${lower}`, {
    facts: {candidates: shown.join(' '), count: found.length, prefix: lower},
    suggestions: shown.map((mac) => `Did you mean ${mac}?`),
  })
}

export function describeSnapshot(header: SnapshotHeader): ListedSnapshot {
  const {duration, identifier, job, name, sources, tags, timestamp} = header
  const importer = sources[0]?.importer
  const sum = (count: (counts: Counts) => number) => {
    let total = 0
    for (const {summary} of sources) total += count(summary.below) + count(summary.directory)
    return total
  }

  return {
    directories: sum((counts) => counts.directories),
    duration: Math.round(duration / 1_000_000) / 1000,
    errors: sum((counts) => counts.errors),
    files: sum((counts) => counts.files),
    id: identifier,
    job,
    name,
    origin: importer?.origin ?? '',
    root: importer?.directory ?? '',
    size: logicalSize(header),
    sources: sources.length,
    tags,
    timestamp: formatTimestamp(timestamp),
    type: importer?.type ?? '',
  }
}

interface ReadHeader {
  readonly error?: unknown
  readonly header?: SnapshotHeader
  readonly id: Mac
}

async function readHeader(contents: StoreContents, id: Mac): Promise<ReadHeader> {
  try {
    return {header: (await contents.snapshot(id)).header, id}
  } catch (error) {
    if (!isObjectFault(error)) throw error
    return {error, id}
  }
}

function fits(header: SnapshotHeader, {before, name, since, tags = []}: SnapshotFilter): boolean {
  const time = timestampToMillis(header.timestamp)
  if (before !== undefined && time >= before) return false
  if (since !== undefined && time < since) return false
  if (name !== undefined && header.name !== name) return false
  return tags.every((tag) => header.tags.includes(tag))
}
