import type {Codec} from '../../kloset/codec/codec.js'
import type {Digest} from '../../registry/digest.js'
import type {CheckContext, Subject} from '../context.js'
import type {Finding, FindingDetails} from '../findings.js'
import type {Outcome, VerifierOptions} from './outcome.js'
import type {JudgeTask, PackfileVerdict} from './packfile-judge.js'

import {hasCode, isNotFound, messageOf} from '../../errors.js'
import {decodeLock, MAX_LOCK_BYTES} from '../../kloset/lock.js'
import {readStateStream, type StateEntry} from '../../kloset/state.js'
import {MEDIA_TYPE} from '../../registry/media-types.js'
import {drain} from '../../util/drain.js'
import {checkContent} from '../content-check.js'
import {detailsOf} from '../context.js'
import {actualOf, factsOf, finding} from '../failures.js'
import {checkObject} from '../object-check.js'
import {StateNotes} from '../state-book.js'
import {changed} from './changed.js'
import {type Judges, ThreadLostError} from './judges.js'
import {verifyLarge} from './large-packfile.js'
import {NO_VERDICT} from './packfile-judge.js'

/** Packfiles up to this size are taken into memory, a large one alone; kloset's have 64 MiB unless told otherwise. */
const MAX_IN_MEMORY = 1024 * 1024 * 1024

interface Blob {
  readonly digest: Digest
  readonly size: number
}

/** Looks at one object after another, each as deep as the tier asks. Nothing is believed of what was looked at before. */
export class ObjectVerifier {
  readonly #context: CheckContext
  readonly #options: VerifierOptions

  /** @param context its `deep` does not count */
  constructor(context: CheckContext, options: VerifierOptions) {
    this.#context = {...context, deep: false}
    this.#options = options
  }

  /** @throws what ends a check: interruption, missing rights, a registry that is down */
  async verify(subject: Subject): Promise<Outcome> {
    const {findings, isEmptied, manifest, size} = await checkObject(subject, this.#context)
    const digest = manifest?.content.layer
    const outcome = {config: manifest?.content.config, digest, findings, size, ...(isEmptied && {isEmptied})}
    if (digest === undefined || findings.some(({kind}) => kind === 'blob-missing' || kind === 'unreachable')) {
      return outcome
    }

    const content = await this.#content(subject, {digest, size})
    // Of an object that is too short both looks say so: the one that read it knows more.
    const before = findings.filter(({kind}) => !content.findings.some((one) => one.kind === kind))
    return {...outcome, ...content, findings: [...before, ...content.findings]}
  }

  /** Looks at an object, and at what is wrong with it once more before it is said. */
  async verifyTwice(subject: Subject): Promise<Outcome> {
    const first = await this.verify(subject)
    if (!first.findings.some((found) => mayPass(found))) return first
    const second = await this.verify(subject)
    if (second.findings.some((found) => mayPass(found))) return second
    const {tag} = subject
    const was = changed({...detailsOf(subject), tag}, 'was written or restored during the check')
    return {...second, findings: [was, ...second.findings]}
  }

  async #content(subject: Subject, blob: Blob): Promise<Omit<Outcome, 'digest' | 'size'>> {
    const {codec, tier} = this.#options
    if (subject.resource === 'packfile') return this.#packfile(subject, blob)
    if (tier === 'digest' || !codec) return {findings: await checkContent(subject, blob, this.#context)}
    if (subject.resource === 'state') return this.#state(subject, blob, codec)
    if (subject.resource === 'lock') return {findings: await this.#lock(subject, blob, codec)}
    return {findings: await checkContent(subject, blob, this.#context)}
  }

  /** Has a packfile judged, by another thread when the first one dies of it. There are fewer threads each time. */
  async #judge(judges: Judges, task: JudgeTask, of: Blob & {readonly subject: Subject}): Promise<PackfileVerdict> {
    try {
      return await judges.judge(task)
    } catch (error) {
      if (!(error instanceof ThreadLostError)) throw error
      const {bytes, failure} = await this.#read(of.subject, of)
      // It could be read a moment ago: what is wrong is looked at once more.
      if (failure && task.intact) return {...NO_VERDICT, findings: [failure]}
      return this.#judge(judges, {...task, bytes}, of)
    }
  }

  /** Has a packfile whose own index is gone judged once more, by what the states say. */
  async #judgeByStates(
    judges: Judges,
    task: JudgeTask,
    of: Blob & {readonly subject: Subject},
  ): Promise<PackfileVerdict | undefined> {
    const placed = await this.#options.placed(task.mac)
    if (!placed) return undefined
    // The bytes went with the first task, perhaps.
    const {bytes} = await this.#read(of.subject, of)
    return this.#judge(judges, {...task, bytes, intact: false, placed}, of)
  }

  async #lock(subject: Subject, blob: Blob, codec: Codec): Promise<Finding[]> {
    const findings = await checkContent(subject, blob, this.#context)
    if (findings.length > 0 || blob.size > MAX_LOCK_BYTES) return findings
    const {bytes, failure} = await this.#read(subject, blob)
    if (failure) return [failure]
    try {
      decodeLock(codec.decode(bytes.subarray(16, -32), MAX_LOCK_BYTES), subject.tag)
      return []
    } catch (error) {
      const kind = hasCode(error, 'VERSION') ? 'unknown-version' : 'envelope-invalid'
      return [finding(kind, messageOf(error), {...detailsOf(subject), digest: blob.digest})]
    }
  }

  async #packfile(subject: Subject, blob: Blob): Promise<Omit<Outcome, 'digest' | 'size'>> {
    const {budget, judges, tier} = this.#options
    const context = this.#context
    if (!judges || tier === 'digest') {
      const findings = await checkContent(subject, blob, context)
      const isWrong = findings.some(({kind}) => kind === 'digest-mismatch' || kind === 'envelope-invalid')
      if (!judges || !isWrong || blob.size > MAX_IN_MEMORY) return {findings}
      return this.#remains(subject, blob, findings)
    }

    if (blob.size > MAX_IN_MEMORY) return verifyLarge(subject, blob, context)
    return budget.spend(blob.size, async () => {
      const {bytes, failure} = await this.#read(subject, blob)
      if (failure && failure.kind !== 'digest-mismatch') return {findings: [failure]}
      if (failure) return this.#remainsOf(subject, blob, bytes, [failure])
      const task = {bytes, data: tier === 'data', digest: blob.digest, intact: true, mac: subject.mac!}
      const verdict = await this.#judge(judges, task, {...blob, subject})
      if (verdict.isMapped || verdict.findings.every(({severity}) => severity !== 'error')) {
        return {findings: verdict.findings, lost: verdict.lost, verdict}
      }

      const second = await this.#judgeByStates(judges, task, {...blob, subject})
      if (!second) return {findings: verdict.findings, verdict}
      return {findings: [...verdict.findings, ...second.findings], lost: second.lost, verdict}
    })
  }

  /** Reads everything there is, also of what turns out to be something else. */
  async #read({tag, ...subject}: Subject, {digest, size}: Blob): Promise<{bytes: Buffer; failure?: Finding}> {
    const {failures, onBytes, repository, signal} = this.#context
    const details: FindingDetails = {...detailsOf({tag, ...subject}), digest}
    const bytes = this.#options.judges?.allocate(size) ?? Buffer.allocUnsafeSlow(size)
    let filled = 0
    try {
      const stream = await repository.blobs.fetch({digest, mediaType: MEDIA_TYPE.octetStream, size}, {signal})
      await drain(stream, (piece) => {
        filled += piece.copy(bytes, filled)
        onBytes?.(piece.length)
      })

      failures.succeeded()
      return {bytes: bytes.subarray(0, filled)}
    } catch (error) {
      const rest = {bytes: bytes.subarray(0, filled)}
      if (isNotFound(error)) {
        failures.succeeded()
        const message = `${tag}: its content ${digest} is announced but cannot be read`
        return {...rest, failure: finding('blob-missing', message, {...details, ...factsOf(error)})}
      }

      if (hasCode(error, 'INTEGRITY')) {
        failures.succeeded()
        const found = actualOf(error)
        const message = `${tag}: ${error.message}`
        return {...rest, failure: finding('digest-mismatch', message, {...details, expected: digest, found})}
      }

      return {...rest, failure: failures.failed(error, tag, details)}
    }
  }

  /** Which blobs of a damaged packfile can still be read. */
  async #remains(
    subject: Subject,
    blob: Blob,
    findings: readonly Finding[],
  ): Promise<Omit<Outcome, 'digest' | 'size'>> {
    return this.#options.budget.spend(blob.size, async () => {
      const {bytes} = await this.#read(subject, blob)
      return this.#remainsOf(subject, blob, bytes, findings)
    })
  }

  async #remainsOf(
    subject: Subject,
    blob: Blob,
    bytes: Buffer,
    findings: readonly Finding[],
  ): Promise<Omit<Outcome, 'digest' | 'size'>> {
    const {judges, tier} = this.#options
    const task = {bytes, data: tier === 'data', digest: blob.digest, intact: false, mac: subject.mac!}
    const first = await this.#judge(judges!, task, {...blob, subject})
    const verdict = (first.isMapped ? undefined : await this.#judgeByStates(judges!, task, {...blob, subject})) ?? first
    return {findings: [...findings, ...verdict.findings], lost: verdict.isMapped ? verdict.lost : undefined, verdict}
  }

  async #state(subject: Subject, blob: Blob, codec: Codec): Promise<Omit<Outcome, 'digest' | 'size'>> {
    const {failures, keys, onBytes, repository, signal} = this.#context
    const details = {...detailsOf(subject), digest: blob.digest}
    const notes = new StateNotes()
    try {
      const target = {...blob, mediaType: MEDIA_TYPE.octetStream}
      const stream = (await repository.blobs.fetch(target, {signal})) as AsyncIterable<Buffer>
      const source = {codec, size: blob.size, stream, what: subject.tag}
      const onEntry = (entry: StateEntry) => notes.take(entry)
      const onStored = (bytes: Buffer) => onBytes?.(bytes.length)
      const {parent} = await keys.lend('state', async (hasher) =>
        readStateStream({...source, hasher}, {onEntry, onStored}),
      )
      failures.succeeded()
      return {findings: [], notes: notes.end(), parent}
    } catch (error) {
      if (isNotFound(error)) {
        failures.succeeded()
        const message = `${subject.tag}: its content ${blob.digest} is announced but cannot be read`
        return {findings: [finding('blob-missing', message, {...details, ...factsOf(error)})]}
      }

      if (hasCode(error, 'STORE_FORMAT') || hasCode(error, 'VERSION') || isWrongMac(error)) {
        failures.succeeded()
        const findings = await checkContent(subject, blob, this.#context)
        if (findings.length > 0) return {findings}
        const kind = hasCode(error, 'VERSION') ? 'unknown-version' : 'state-unreadable'
        return {findings: [finding(kind, messageOf(error), details)]}
      }

      if (hasCode(error, 'INTEGRITY')) {
        failures.succeeded()
        const found = actualOf(error)
        const message = `${subject.tag}: ${error.message}`
        return {findings: [finding('digest-mismatch', message, {...details, expected: blob.digest, found})]}
      }

      return {findings: [failures.failed(error, subject.tag, details)]}
    }
  }
}

/** What a second look may find otherwise: damage, and a removal that may be under way. */
function mayPass({kind, severity}: Finding): boolean {
  return severity === 'error' || kind === 'removal-cut-off'
}

/** A MAC that is wrong, and not a digest. */
function isWrongMac(error: unknown): boolean {
  return hasCode(error, 'INTEGRITY') && error.facts['mac'] === false
}
