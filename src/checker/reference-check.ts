import {pMapIterable} from 'p-map'

import type {Codec} from '../kloset/codec/codec.js'
import type {Finding} from './findings.js'
import type {LockContext} from './lock-check.js'
import type {TagScan} from './tag-scan.js'

import {hasCode, isNotFound, KlosetOciError, messageOf} from '../errors.js'
import {BLOB_TYPES} from '../kloset/blob-type.js'
import {LOCK_TTL_MS} from '../kloset/lock.js'
import {type Mac, macFromBytes, macToBytes} from '../kloset/mac.js'
import {readObjectManifest} from '../kloset/object-manifest.js'
import {type PackfileIndex, readPackfileIndex} from '../kloset/packfile.js'
import {tagOf} from '../kloset/resource.js'
import {formatTimestamp, type Timestamp, timestampFromMillis, timestampToMillis} from '../kloset/timestamp.js'
import {collect} from '../util/collect.js'
import {detailsOf, type Subject} from './context.js'
import {actualOf, finding} from './failures.js'
import {KeyTable} from './key-table.js'
import {StateNames} from './state-names.js'
import {readState, type StateFacts} from './state-read.js'

/** What plakar's maintenance waits before it removes what it has coloured. @see plakar subcommands/maintenance */
export const GRACE_MS = 7 * 24 * 60 * 60 * 1000

/** States are decompressed on this thread: more of them at once only take memory. */
const MAX_STATES_AT_ONCE = 4

const KNOWN = 1
const REMOVED = 2

export interface ReferenceContext extends LockContext {
  readonly codec: Codec
  readonly concurrency: number
  readonly onState: () => void
  readonly scan: TagScan
}

/**
 * Holds what the states say against the tags: packfiles that a state knows and that have none, and packfiles that no
 * state knows. Only states are read, as many bytes as they have.
 */
export async function* checkReferences(context: ReferenceContext): AsyncGenerator<Finding> {
  const {concurrency, onState, scan} = context
  const book = new PackfileBook()
  const names = new StateNames()
  let isWhole = true
  const states = pMapIterable(
    scan.listed('state'),
    async (one) => ({...(await readOne(one, context)), mac: one.subject.mac!}),
    {
      concurrency: Math.min(concurrency, MAX_STATES_AT_ONCE),
    },
  )
  for await (const {facts, findings, mac} of states) {
    onState()
    if (facts) {
      book.add(facts)
      names.note(mac, facts.name)
    } else isWhole = false
    yield* findings
  }

  yield* names.findings((tag) => scan.isListed(tag))

  yield* missing(book, context)
  yield* coloured(book, context)
  // A state that could not be read may know the others.
  if (!isWhole) return
  const unknown = pMapIterable(unknownPackfiles(book, scan), async (subject) => judgeUnknown(subject, context), {
    concurrency,
  })
  for await (const findings of unknown) yield* findings
}

function* unknownPackfiles(book: PackfileBook, scan: TagScan): Generator<Subject> {
  for (const {isTold, subject} of scan.listed('packfile')) {
    if (!isTold && subject.mac !== undefined && !book.knows(subject.mac)) yield subject
  }
}

/** A packfile that no state knows. When it ends a snapshot, the snapshot's state was lost: states have their names. */
async function judgeUnknown(subject: Subject, context: ReferenceContext): Promise<Finding[]> {
  const {failures, now, scan} = context
  const details = detailsOf(subject)
  const message = `${subject.tag}: no state knows it; a backup is under way or was broken off, or its state is lost`
  let index: PackfileIndex
  try {
    index = await readIndex(subject, context)
  } catch (error) {
    const findings = [finding('packfile-unknown', message, details)]
    if (isNotFound(error)) return findings
    const isUnsound = hasCode(error, 'INTEGRITY') || hasCode(error, 'STORE_FORMAT')
    const found = isUnsound
      ? finding('packfile-unreadable', messageOf(error), details)
      : failures.failed(error, subject.tag, details)
    return [...findings, found]
  }

  const written = formatTimestamp(index.footer.timestamp)
  const findings = [finding('packfile-unknown', message, {...details, found: written})]
  // Between its last packfile and its state a backup takes moments.
  if (timestampToMillis(index.footer.timestamp) + LOCK_TTL_MS > now) return findings
  for (const {mac, type} of index) {
    const tag = tagOf('state', mac)
    if (type !== BLOB_TYPES.snapshot || scan.isListed(tag)) continue
    const lost = `${tag}: the state of a snapshot in ${subject.tag} has no tag; it was lost, or never written`
    findings.push(finding('tag-missing', lost, {...detailsOf({mac, resource: 'state', tag}), snapshots: [mac]}))
  }

  return findings
}

async function readIndex({tag}: Subject, context: ReferenceContext): Promise<PackfileIndex> {
  const {codec, failures, keys, onBytes, repository, signal} = context
  const {layer} = readObjectManifest(await repository.manifests.get(tag, {signal}), tag)
  const target = await repository.blobs.resolve(layer, {signal})
  const readAt = async (offset: number, length: number) => {
    const stream = await repository.blobs.fetch(target, {range: {length, offset}, signal})
    const bytes = await collect(stream, {limit: length, what: tag})
    onBytes?.(bytes.length)
    return bytes
  }

  const index = await keys.lend('packfile', async (hasher) =>
    readPackfileIndex({codec, hasher: hasher!, readAt, size: target.size, what: tag}),
  )
  failures.succeeded()
  return index
}

interface StateResult {
  readonly facts?: StateFacts
  readonly findings: readonly Finding[]
}

/** @returns no facts for a state that cannot be read; findings only for what the look at its tag has not told */
async function readOne(
  {isTold, subject}: {readonly isTold: boolean; readonly subject: Subject},
  context: ReferenceContext,
): Promise<StateResult> {
  if (isTold) return {findings: []}
  try {
    return {facts: await readState(subject, context), findings: []}
  } catch {
    // Twice before it is said, as everywhere.
    try {
      return {facts: await readState(subject, context), findings: []}
    } catch (error) {
      return {findings: judge(subject, error, context)}
    }
  }
}

function judge(subject: Subject, error: unknown, {failures}: ReferenceContext): Finding[] {
  const details = detailsOf(subject)
  const {tag} = subject
  // Removed since it was listed.
  if (isNotFound(error)) return []
  if (hasCode(error, 'VERSION')) return [finding('unknown-version', messageOf(error), details)]
  if (hasCode(error, 'STORE_FORMAT')) return [finding('state-unreadable', messageOf(error), details)]
  if (!hasCode(error, 'INTEGRITY')) return [failures.failed(error, tag, details)]
  if (error.facts['mac'] === false) return [finding('mac-mismatch', error.message, details)]
  return [finding('digest-mismatch', `${tag}: ${error.message}`, {...details, found: actualOf(error)})]
}

/** What all states together say of packfiles. */
class PackfileBook {
  readonly #coloured = new Map<Mac, Timestamp>()
  readonly #table = new KeyTable(32)
  readonly #uncoloured = new Set<Mac>()

  add({coloured: colours, known, removed, uncoloured}: StateFacts): void {
    for (const mac of known) this.#mark(mac, KNOWN)
    for (const mac of removed) this.#mark(mac, REMOVED)
    for (const {mac, when} of colours) this.#coloured.set(mac, when)
    for (const mac of uncoloured) this.#uncoloured.add(mac)
  }

  *coloured(): Generator<{readonly mac: Mac; readonly when: Timestamp}> {
    for (const [mac, when] of this.#coloured) if (!this.#uncoloured.has(mac)) yield {mac, when}
  }

  /** Packfiles that must be there: a state knows them, no state has removed them, none has coloured them. */
  *expected(): Generator<Mac> {
    for (let index = 0; index < this.#table.size; index++) {
      const mac = macFromBytes(this.#table.key(index))
      if (this.#table.flags(index) === KNOWN && !this.#coloured.has(mac)) yield mac
    }
  }

  knows(mac: Mac): boolean {
    return this.#table.has(macToBytes(mac))
  }

  #mark(mac: Mac, flag: number): void {
    const {index} = this.#table.add(macToBytes(mac))
    const flags = this.#table.flags(index)
    if (Math.floor(flags / flag) % 2 === 0) this.#table.setFlags(index, flags + flag)
  }
}

async function* missing(book: PackfileBook, context: ReferenceContext): AsyncGenerator<Finding> {
  const {failures, repository, scan, signal} = context
  for (const mac of book.expected()) {
    const tag = tagOf('packfile', mac)
    if (scan.isListed(tag)) continue
    const details = detailsOf({mac, resource: 'packfile', tag})
    try {
      await repository.manifests.resolve(tag, {signal})
      failures.succeeded()
    } catch (error) {
      if (!(error instanceof KlosetOciError)) throw error
      yield isNotFound(error)
        ? finding('tag-missing', `${tag}: a state needs it and it has no tag`, details)
        : failures.failed(error, tag, details)
      continue
    }

    // Written since the list was read, or left out of it.
    if (await appearsNow(tag, context)) continue
    yield finding('list-incomplete', `${tag}: is there and is not in the tag list`, details)
  }
}

async function appearsNow(tag: string, {repository, signal}: ReferenceContext): Promise<boolean> {
  for await (const listed of repository.tags({signal})) if (listed === tag) return true
  return false
}

function* coloured(book: PackfileBook, {now, scan}: ReferenceContext): Generator<Finding> {
  for (const {mac, when} of book.coloured()) {
    const tag = tagOf('packfile', mac)
    if (!scan.isListed(tag)) continue
    const free = timestampToMillis(when) + GRACE_MS
    const until = formatTimestamp(timestampFromMillis(free))
    const then = free > now ? `can go from ${until} on` : `could go since ${until}`
    const message = `${tag}: deleted on ${formatTimestamp(when)}, ${then} with the next maintenance`
    yield finding('packfile-coloured', message, {
      ...detailsOf({mac, resource: 'packfile', tag}),
      found: until,
      snapshots: undefined,
    })
  }
}
