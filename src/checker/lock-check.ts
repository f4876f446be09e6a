import type {Codec} from '../kloset/codec/codec.js'
import type {Digest} from '../registry/digest.js'
import type {CheckContext, ObjectResult, Subject} from './context.js'
import type {Finding} from './findings.js'

import {hasCode, isNotFound, messageOf} from '../errors.js'
import {ENVELOPE_BYTES, openEnvelope} from '../kloset/envelope.js'
import {decodeLock, isStale, type Lock, lockAge, MAX_LOCK_BYTES} from '../kloset/lock.js'
import {formatTimestamp} from '../kloset/timestamp.js'
import {ANNOTATION, MEDIA_TYPE} from '../registry/media-types.js'
import {collect} from '../util/collect.js'
import {detailsOf} from './context.js'
import {actualOf, finding} from './failures.js'

export interface LockContext extends CheckContext {
  /** None when the store is encrypted and its passphrase is not known. */
  readonly codec?: Codec | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** A lock's holder writes at least every five minutes: a clock this far ahead of ours is worth a word. */
const CLOCK_SKEW_MS = 2 * 60 * 1000

/** Says who holds a lock, and whether they still do. `result` is what looking at its tag came to. */
export async function checkLock(subject: Subject, result: ObjectResult, context: LockContext): Promise<Finding[]> {
  const {manifest, size} = result
  if (!manifest || size < ENVELOPE_BYTES) return []
  const details = {...detailsOf(subject), digest: manifest.content.layer, snapshots: undefined}
  const written = manifest.content.annotations[ANNOTATION.created]
  if (!context.codec) {
    const since = written === undefined ? '' : `, written ${written.slice(0, 40)}`
    const message = `${subject.tag}: a lock whose age cannot be read without the passphrase${since}`
    return [finding('lock-unreadable', message, {...details, found: written})]
  }

  let lock: Lock
  try {
    lock = await readLock(subject, {digest: manifest.content.layer, size}, {...context, codec: context.codec})
  } catch (error) {
    if (isNotFound(error)) return [finding('blob-missing', `${subject.tag}: its content is missing`, details)]
    if (hasCode(error, 'INTEGRITY')) {
      const found = actualOf(error)
      return [finding('digest-mismatch', `${subject.tag}: ${error.message}`, {...details, found})]
    }

    if (hasCode(error, 'VERSION')) return [finding('unknown-version', messageOf(error), details)]
    if (hasCode(error, 'STORE_FORMAT')) return [finding('envelope-invalid', messageOf(error), details)]
    return [context.failures.failed(error, subject.tag, details)]
  }

  return [judgeLock(subject, lock, context.now, details)]
}

/** A lock's content, authenticated where the key is known. @throws what stands in the way */
export async function readLock(
  {tag}: Subject,
  blob: {readonly digest: Digest; readonly size: number},
  {codec, failures, keys, onBytes, repository, signal}: LockContext & {readonly codec: Codec},
): Promise<Lock> {
  const stream = await repository.blobs.fetch({...blob, mediaType: MEDIA_TYPE.octetStream}, {signal})
  const bytes = await collect(stream, {limit: MAX_LOCK_BYTES, what: tag})
  failures.succeeded()
  onBytes?.(bytes.length)
  return keys.lend('lock', async (hasher) => {
    const {data} = openEnvelope(bytes, {hasher, resource: 'lock', what: tag})
    return decodeLock(codec.decode(data, MAX_LOCK_BYTES), tag)
  })
}

function judgeLock({tag}: Subject, lock: Lock, now: number, details: Parameters<typeof finding>[2]): Finding {
  const age = lockAge(lock, now)
  const since = formatTimestamp(lock.timestamp)
  const who = `${lock.exclusive ? 'exclusive' : 'shared'} lock of ${lock.hostname.slice(0, 80) || 'an unnamed host'}`
  const facts = {...details, found: since}
  if (isStale(lock, now)) return finding('lock-stale', `${tag}: ${who}, not refreshed for ${ago(age)}`, facts)
  const ahead = age < -CLOCK_SKEW_MS ? `, by a clock ${ago(-age)} ahead of this one` : ''
  return finding('lock-held', `${tag}: ${who}, refreshed ${ago(Math.max(0, age))} ago${ahead}`, facts)
}

function ago(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000)
  if (minutes < 1) return `${Math.floor(milliseconds / 1000)} s`
  if (minutes < 120) return `${minutes} min`
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / (24 * 60))} days`
}
