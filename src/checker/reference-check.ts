import {pMapIterable} from 'p-map'

import type {Codec} from '../kloset/codec/codec.js'
import type {Finding} from './findings.js'
import type {LockContext} from './lock-check.js'
import type {TagScan} from './tag-scan.js'

import {hasCode, isNotFound, messageOf} from '../errors.js'
import {BLOB_TYPES} from '../kloset/blob-type.js'
import {LOCK_TTL_MS} from '../kloset/lock.js'
import {type Mac} from '../kloset/mac.js'
import {readObjectManifest} from '../kloset/object-manifest.js'
import {type PackfileIndex, readPackfileIndex} from '../kloset/packfile.js'
import {tagOf} from '../kloset/resource.js'
import {formatTimestamp, timestampFromMillis, timestampToMillis} from '../kloset/timestamp.js'
import {collect} from '../util/collect.js'
import {detailsOf, type Subject} from './context.js'
import {actualOf, finding} from './failures.js'
import {missingPackfiles} from './missing-packfiles.js'
import {StateBook, type StateNotes} from './state-book.js'
import {readState} from './state-read.js'

/** What plakar's maintenance waits before it removes what it has coloured. @see plakar subcommands/maintenance */
export const GRACE_MS = 7 * 24 * 60 * 60 * 1000

/** States are decompressed on this thread: more of them at once only take memory. */
const MAX_STATES_AT_ONCE = 4

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
  const book = new StateBook()
  const states = pMapIterable(scan.listed('state'), async (one) => readOne(one, context), {
    concurrency: Math.min(concurrency, MAX_STATES_AT_ONCE),
  })
  for await (const {findings, mac, notes} of states) {
    onState()
    if (notes) book.add(mac, notes)
    else book.isWhole = false
    yield* findings
  }

  const isListed = (tag: string) => scan.isListed(tag)
  yield* book.names.findings(isListed)
  yield* missingPackfiles({...context, book, list: scan})
  yield* coloured(book, context)
  // A state that could not be read may know the others.
  if (!book.isWhole) return
  const unknown = pMapIterable(unknownPackfiles(book, scan), async (subject) => judgeUnknown(subject, context), {
    concurrency,
  })
  for await (const findings of unknown) yield* findings
}

function* unknownPackfiles(book: StateBook, scan: TagScan): Generator<Subject> {
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
  readonly findings: readonly Finding[]
  readonly mac: Mac
  readonly notes?: StateNotes
}

/** @returns no notes for a state that cannot be read; findings only for what the look at its tag has not told */
async function readOne(
  {isTold, subject}: {readonly isTold: boolean; readonly subject: Subject},
  context: ReferenceContext,
): Promise<StateResult> {
  const mac = subject.mac!
  if (isTold) return {findings: [], mac}
  try {
    return {findings: [], mac, notes: await readState(subject, context)}
  } catch {
    // Twice before it is said, as everywhere.
    try {
      return {findings: [], mac, notes: await readState(subject, context)}
    } catch (error) {
      return {findings: judge(subject, error, context), mac}
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

function* coloured(book: StateBook, {now, scan}: ReferenceContext): Generator<Finding> {
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
