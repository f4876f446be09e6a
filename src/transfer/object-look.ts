import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {FetchedManifest} from '../registry/manifest.js'

import {AlreadyExistsError, hasCode, isNotFound, KlosetOciError} from '../errors.js'
import {type ObjectManifest, readObjectManifest} from '../kloset/object-manifest.js'
import {type Digest} from '../registry/digest.js'
import {atSource, atTarget, type ObjectCopier, SideError} from './object-copier.js'
import {type CopyFailures, type CopyOutcome, type CopySubject} from './outcome.js'

export interface ObjectLookOptions extends CallOptions {
  /** None in a dry run. */
  readonly copier: ObjectCopier | undefined
  readonly failures: CopyFailures
  readonly from: Repository
  readonly overwrite: boolean
  readonly quick: boolean
  readonly to: Repository | undefined
}

/** What the target has under a tag. */
type There =
  | {readonly kind: 'broken'; readonly manifest?: Digest}
  | {readonly kind: 'object'; readonly manifest: Digest; readonly object: ObjectManifest}

/** What is needed of an object: nothing, or its manifest to be copied. */
type Need = {readonly copy: FetchedManifest; readonly heals: boolean} | {readonly size: number}

/** Finds out what one object needs, and has it done. Failures of single objects become outcomes. */
export class ObjectLook {
  readonly #errors = new WeakMap<CopyOutcome, unknown>()
  readonly #options: ObjectLookOptions

  constructor(options: ObjectLookOptions) {
    this.#options = options
  }

  /**
   * Makes the target's object the source's.
   * @param isThere whether the target's list of tags names it
   * @throws what ends a copy as a whole
   */
  async bring(subject: CopySubject, {isThere}: {readonly isThere: boolean}): Promise<CopyOutcome> {
    const {copier, failures} = this.#options
    try {
      const need = isThere ? await this.#compare(subject) : {copy: await this.#manifest(subject), heals: false}
      if ('size' in need) {
        failures.succeeded()
        return {bytes: 0, ...subject, size: need.size, status: 'present'}
      }

      const status = need.heals ? 'healed' : 'copied'
      const outcome = copier
        ? ({...(await copier.copy(subject, need.copy)), status} as const)
        : await this.#would(subject, need.copy)
      failures.succeeded()
      return outcome
    } catch (error) {
      return this.#failed(subject, error)
    }
  }

  /** The error behind an outcome that failed. */
  lastError(outcome: CopyOutcome): unknown {
    return this.#errors.get(outcome)
  }

  async #compare(subject: CopySubject): Promise<Need> {
    const {from, overwrite, signal} = this.#options
    const [there, source] = await Promise.all([
      this.#there(subject),
      ofTag(subject.tag, from.manifests.resolve(subject.tag, {signal})),
    ])
    if (there.kind === 'broken') return {copy: await this.#manifest(subject), heals: true}
    const size = await this.#sizeThere(there.object)
    if (there.manifest === source.digest && size !== undefined) return this.#present(there.object, size)
    const manifest = await this.#manifest(subject)
    const {layer} = await atSource(parse(manifest, subject.tag))
    const isSame = layer === there.object.layer
    if (isSame && size !== undefined) return this.#present(there.object, size)
    const isReplaced = isSame || size === undefined || subject.resource === 'lock' || overwrite
    if (!isReplaced) throw new SideError(otherContent(subject, there.object.layer, layer), 'target')
    return {copy: manifest, heals: true}
  }

  #failed(subject: CopySubject, thrown: unknown): CopyOutcome {
    const {error, side} = thrown instanceof SideError ? thrown : ({error: thrown, side: 'target'} as const)
    // Listed a moment ago: it was removed meanwhile, or its manifest is lost. Another list will tell.
    const isGone = error instanceof TagGone
    const failure = this.#options.failures.failed(error, side)
    const outcome: CopyOutcome = {bytes: 0, failure, ...subject, status: isGone ? 'vanished' : 'failed'}
    this.#errors.set(outcome, error)
    return outcome
  }

  async #manifest({tag}: CopySubject): Promise<FetchedManifest> {
    const {from, signal} = this.#options
    return ofTag(tag, from.manifests.get(tag, {signal}))
  }

  async #present(object: ObjectManifest, size: number): Promise<Need> {
    const {copier, quick} = this.#options
    if (!quick) await atTarget(copier?.ensureConfigBlob(object) ?? Promise.resolve())
    return {size}
  }

  async #sizeAtSource(layer: Digest): Promise<number | undefined> {
    const {from, signal} = this.#options
    try {
      return (await atSource(from.blobs.resolve(layer, {signal}))).size
    } catch (error) {
      if (error instanceof SideError && isNotFound(error.error)) return undefined
      throw error
    }
  }

  /** Bytes of what the target has; undefined when its content has gone, or is of another length than it is said to be. */
  async #sizeThere({layer, shape, size}: ObjectManifest): Promise<number | undefined> {
    const {quick, signal, to} = this.#options
    if (quick) return size
    try {
      const {size: actual} = await atTarget(to!.blobs.resolve(layer, {signal}))
      if (size < 0 || actual === size) return actual
      // Only what we counted ourselves can be held against the storage; of others' the source knows how long it is.
      return shape !== 'own' && (await this.#sizeAtSource(layer)) === actual ? actual : undefined
    } catch (error) {
      if (error instanceof SideError && isNotFound(error.error)) return undefined
      throw error
    }
  }

  async #there({tag}: CopySubject): Promise<There> {
    const {signal, to} = this.#options
    try {
      const manifest = await to!.manifests.get(tag, {signal})
      return {kind: 'object', manifest: manifest.descriptor.digest, object: readObjectManifest(manifest, tag)}
    } catch (error) {
      const isBroken = ['INTEGRITY', 'NOT_FOUND', 'PROTOCOL', 'STORE_FORMAT'].some((code) =>
        hasCode(error, code as 'INTEGRITY'),
      )
      if (isBroken) return {kind: 'broken'}
      throw new SideError(error, 'target')
    }
  }

  async #would(subject: CopySubject, manifest: FetchedManifest): Promise<CopyOutcome> {
    const {from, signal} = this.#options
    const {layer, size} = await atSource(parse(manifest, subject.tag))
    // A copy would fail where the content is not there.
    const described = await atSource(from.blobs.resolve(layer, {signal}))
    const bytes = size < 0 ? described.size : size
    return {bytes, digest: layer, ...subject, size: bytes, status: 'would-copy'}
  }
}

/** A tag that was listed and leads to nothing. */
class TagGone extends KlosetOciError {
  constructor(tag: string, cause: unknown) {
    super('NOT_FOUND', `${tag}: was listed and leads to nothing`, {
      cause,
      facts: {tag},
      suggestions: ['Its manifest is lost, or a tag is listed that was removed: see `gc-check`.'],
    })
  }
}

/** Asks the source for what a tag leads to. */
async function ofTag<T>(tag: string, answer: Promise<T>): Promise<T> {
  return atSource(
    answer.catch((error: unknown) => {
      throw isNotFound(error) ? new TagGone(tag, error) : error
    }),
  )
}

async function parse(manifest: FetchedManifest, tag: string): Promise<ObjectManifest> {
  return readObjectManifest(manifest, tag)
}

function otherContent({resource, tag}: CopySubject, actual: Digest, expected: Digest): AlreadyExistsError {
  return new AlreadyExistsError(`${tag}: the target has it with other content`, {
    facts: {actual, expected, tag},
    suggestions: [
      `A ${resource} never changes under its MAC: one of the two is damaged. See \`gc-check --deep\` for both.`,
      'When the source proves right, --overwrite replaces what the target has.',
    ],
  })
}
