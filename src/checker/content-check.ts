import type {Digest} from '../registry/digest.js'
import type {CheckContext, Subject} from './context.js'
import type {Finding, FindingDetails} from './findings.js'

import {hasCode, isNotFound, messageOf} from '../errors.js'
import {EnvelopeChecker, EnvelopeWindow, KNOWN_VERSIONS, resourceOfType, unknownVersion} from '../kloset/envelope.js'
import {type Hasher} from '../kloset/hashing.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {drain} from '../util/drain.js'
import {actualOf, factsOf, finding} from './failures.js'

/** Downloads an object and checks everything that can be checked without decoding it. */
export async function checkContent(
  subject: Subject,
  blob: {readonly digest: Digest; readonly size: number},
  context: CheckContext,
): Promise<Finding[]> {
  return context.keys.lend(subject.resource, async (hasher, naming) => {
    const {failures, onBytes, repository, signal} = context
    const details: FindingDetails = {
      digest: blob.digest,
      object: {mac: subject.mac, resource: subject.resource},
      snapshots: 'unknown',
      tag: subject.tag,
    }
    const checker = new EnvelopeChecker(hasher)
    const name = naming && new DataHasher(naming, blob.size)
    try {
      const stream = await repository.blobs.fetch({...blob, mediaType: MEDIA_TYPE.octetStream}, {signal})
      await drain(stream, (piece) => {
        checker.update(piece)
        name?.update(piece)
        onBytes?.(piece.length)
      })

      failures.succeeded()
    } catch (error) {
      if (isNotFound(error)) {
        failures.succeeded()
        const message = `${subject.tag}: its content ${blob.digest} is announced but cannot be read`
        return [finding('blob-missing', message, {...details, ...factsOf(error)})]
      }

      if (hasCode(error, 'INTEGRITY')) {
        failures.succeeded()
        const found = actualOf(error)
        return [
          finding('digest-mismatch', `${subject.tag}: ${error.message}`, {...details, expected: blob.digest, found}),
        ]
      }

      return [failures.failed(error, subject.tag, details)]
    }

    return judgeEnvelope(subject, {details, envelope: () => checker.finish(subject.tag), name: () => name?.value()})
  })
}

export interface EnvelopeToJudge {
  readonly details: FindingDetails
  /** What it says of itself. @throws StoreFormatError when it is none */
  readonly envelope: () => ReturnType<EnvelopeChecker['finish']>
  /** The name that its content gives it, where that is known. */
  readonly name?: () => string | undefined
}

/** What is wrong with an object's envelope: one thing at the most, the one that explains the others. */
export function judgeEnvelope(
  {mac, resource, tag}: Subject,
  {details, envelope: ask, name}: EnvelopeToJudge,
): Finding[] {
  let envelope: ReturnType<EnvelopeChecker['finish']>
  try {
    envelope = ask()
  } catch (error) {
    return [finding('envelope-invalid', messageOf(error), details)]
  }

  if (envelope.authentic === false) {
    const found = envelope.mac.toString('hex')
    return [finding('mac-mismatch', `${tag}: its MAC does not match its content`, {...details, found})]
  }

  const holds = resourceOfType(envelope.type)
  if (holds !== resource) {
    const found = holds ?? `type ${envelope.type}`
    return [finding('type-mismatch', `${tag}: holds a ${found}`, {...details, expected: resource, found})]
  }

  if (!KNOWN_VERSIONS[resource].includes(envelope.version)) {
    const error = unknownVersion(resource, envelope.version, tag)
    return [
      finding('unknown-version', error.message, {
        ...details,
        expected: String(error.facts['expected']),
        found: String(error.facts['actual']),
      }),
    ]
  }

  const actual = name?.()
  if (mac !== undefined && actual !== undefined && actual !== mac) {
    const message = `${tag}: holds the packfile ${actual}, sound but under another's tag`
    return [finding('name-mismatch', message, {...details, expected: mac, found: actual})]
  }

  return []
}

/**
 * The MAC of what lies inside an envelope of known size: of a packfile it is the name.
 * @see kloset packfile/packfile_disk.go `Serialize`
 */
export class DataHasher {
  readonly #hasher: Hasher
  readonly #window: EnvelopeWindow

  constructor(hasher: Hasher, envelopeSize: number) {
    this.#hasher = hasher
    this.#window = new EnvelopeWindow(envelopeSize)
  }

  update(chunk: Buffer): void {
    const data = this.#window.cut(chunk)
    if (data.length > 0) this.#hasher.update(data)
  }

  value(): string {
    return this.#hasher.digest().toString('hex')
  }
}
