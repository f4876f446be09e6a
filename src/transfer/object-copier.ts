import type {Descriptor} from '../registry/descriptor.js'
import type {FetchedManifest} from '../registry/manifest.js'
import type {Clock} from '../util/clock.js'
import type {MacChecks} from './mac-check.js'
import type {CopyOutcome, CopySubject} from './outcome.js'

import {hasCode, KlosetOciError} from '../errors.js'
import {type ObjectManifest, readObjectManifest} from '../kloset/object-manifest.js'
import {ObjectWriter} from '../kloset/object-writer.js'
import {canMount, type Repository} from '../registry/interfaces.js'
import {parseImageManifest} from '../registry/manifest.js'
import {ANNOTATION, MEDIA_TYPE} from '../registry/media-types.js'
import {HELD_BYTES} from '../util/content-source.js'
import {ConfigBlobCopier} from './config-blobs.js'
import {FetchedSource, fetchHeld, type PassingCheck} from './fetched-source.js'

export interface ObjectCopierOptions {
  readonly checks?: MacChecks | undefined
  readonly clock: Clock
  readonly from: Repository
  /** Name of the source's repository, when both lie in one registry. */
  readonly mountFrom: string | undefined
  readonly onBytes?: ((count: number) => void) | undefined
  /** Settles when the target has the store's configuration: before that it gets no other tag. */
  readonly ready: () => Promise<void>
  readonly signal: AbortSignal | undefined
  readonly to: Repository
}

/** An error and the side that it came from. */
export class SideError extends Error {
  readonly error: unknown
  readonly side: 'source' | 'target'

  constructor(error: unknown, side: 'source' | 'target') {
    super('failed on one side', {cause: error})
    this.error = error
    this.side = side
  }
}

export async function atSource<T>(promise: Promise<T>): Promise<T> {
  return promise.catch((error: unknown) => {
    throw error instanceof SideError ? error : new SideError(error, 'source')
  })
}

export async function atTarget<T>(promise: Promise<T>): Promise<T> {
  return promise.catch((error: unknown) => {
    throw error instanceof SideError ? error : new SideError(error, 'target')
  })
}

/** A manifest of the source, and how it can be written at the target. */
interface Plan {
  readonly layer: Descriptor
  readonly manifest: FetchedManifest
  readonly object: ObjectManifest
  /** Why the manifest cannot be written as it is. */
  readonly rewrite: string | undefined
}

/** Statuses by which a registry refuses a manifest as it is. */
const REFUSED = new Set([400, 404, 415, 422])

/**
 * Copies single objects: the blob first, checked while it passes, then the manifest, byte for byte where that is
 * possible, so that tags lead to the same digests on both sides.
 */
export class ObjectCopier {
  readonly #configBlobs: ConfigBlobCopier
  readonly #options: ObjectCopierOptions

  constructor(options: ObjectCopierOptions) {
    this.#options = options
    this.#configBlobs = new ConfigBlobCopier(options)
  }

  /**
   * Copies the object of a manifest.
   * @throws SideError
   */
  async copy(subject: CopySubject, manifest: FetchedManifest): Promise<Omit<CopyOutcome, 'status'>> {
    const object = await atSource(readManifest(manifest, subject.tag))
    const plan = await this.#plan(object, manifest, subject.tag)
    try {
      return await this.#copy(subject, plan)
    } catch (error) {
      const sized = await this.#resized(plan, error)
      if (!sized) throw error
      return this.#copy(subject, sized)
    }
  }

  /** Makes sure that the target has the config blob of a manifest that it holds already. */
  async ensureConfigBlob(object: ObjectManifest): Promise<void> {
    if (object.config) await this.#configBlobs.ensure(object.config)
  }

  async #blob(subject: CopySubject, layer: Descriptor): Promise<{mounted: boolean; sent: boolean}> {
    const {checks, from, mountFrom, onBytes, signal, to} = this.#options
    // To be checked, the bytes have to pass through here.
    if (
      mountFrom !== undefined &&
      !checks &&
      canMount(to.blobs) &&
      (await atTarget(to.blobs.mount(layer, mountFrom, {signal})))
    )
      return {mounted: true, sent: false}

    const push = async (check?: () => PassingCheck) => {
      const options = {check, onBytes, signal}
      if (layer.size <= HELD_BYTES) {
        const held = await atSource(fetchHeld(from, layer, options))
        return atTarget(to.blobs.push(layer, held, {force: true, signal}))
      }

      const source = new FetchedSource(from, layer, options)
      try {
        return await to.blobs.push(layer, source, {force: true, signal})
      } catch (error) {
        throw source.failure ? new SideError(source.failure, 'source') : new SideError(error, 'target')
      }
    }

    const sent = await (checks ? checks.lend({...subject, size: layer.size}, push) : push())
    return {mounted: false, sent}
  }

  async #copy(subject: CopySubject, plan: Plan): Promise<Omit<CopyOutcome, 'status'>> {
    const {layer, manifest, object, rewrite} = plan
    const {mac, resource, tag} = subject
    const configured = this.#configBlobs.ensure(object.config)
    // Waited for below, whatever becomes of the blob.
    configured.catch(() => {})
    const {mounted, sent} = await this.#blob(subject, layer)
    const hasConfig = await configured
    if (resource !== 'config') await atTarget(this.#options.ready())
    const reason = rewrite ?? (hasConfig ? undefined : 'its config blob is missing at the source')
    const note = reason === undefined ? await this.#pushAsIs(subject, plan) : await this.#rewrite(subject, plan, reason)
    return {
      bytes: sent ? layer.size : 0,
      digest: layer.digest,
      mac,
      resource,
      size: layer.size,
      tag,
      ...(mounted && {mounted}),
      ...(note !== undefined && {note}),
      ...(reason === undefined && note === undefined && {manifest: manifest.descriptor.digest}),
    }
  }

  /** The true size is asked for where the manifest does not state one that can be true. */
  async #plan(object: ObjectManifest, manifest: FetchedManifest, tag: string): Promise<Plan> {
    const {layer: digest, layerCount} = object
    let rewrite = layerCount > 1 ? `it has ${layerCount} layers, and readers use the first` : whyNotExact(manifest, tag)
    let {size} = object
    if (size < 0) {
      const described = await atSource(this.#options.from.blobs.resolve(digest, {signal: this.#options.signal}))
      size = described.size
      rewrite ??= size === 0 ? undefined : `it does not state the size of its content, ${size} bytes`
    }

    return {layer: {digest, mediaType: MEDIA_TYPE.octetStream, size}, manifest, object, rewrite}
  }

  /** @returns a remark when the registry does not take the manifest as it is */
  async #pushAsIs(subject: CopySubject, plan: Plan): Promise<string | undefined> {
    const {signal, to} = this.#options
    const {bytes, mediaType} = plan.manifest
    try {
      await to.manifests.push({bytes, mediaType}, {signal, tag: subject.tag})
      return undefined
    } catch (error) {
      if (!(error instanceof KlosetOciError) || !REFUSED.has(Number(error.facts['status']))) {
        throw new SideError(error, 'target')
      }

      // In another shape, perhaps; and with its blobs sent again, should they have gone meanwhile.
      return this.#rewrite(subject, plan, `the registry refuses it as it is (${String(error.facts['status'])})`).catch(
        (error_: unknown) => {
          throw error_ instanceof SideError && error_.side === 'source' ? error_ : new SideError(error, 'target')
        },
      )
    }
  }

  /** The same plan with the blob's true size, when a wrong one is why it failed. */
  async #resized(plan: Plan, error: unknown): Promise<Plan | undefined> {
    const cause = error instanceof SideError ? error.error : error
    if (!hasCode(cause, 'INTEGRITY') || cause.facts['expectedSize'] === undefined) return undefined
    const {from, signal} = this.#options
    const {size} = await atSource(from.blobs.resolve(plan.layer.digest, {signal}))
    if (size === plan.layer.size) return undefined
    const rewrite = `it states ${plan.layer.size} bytes for a content of ${size}`
    return {...plan, layer: {...plan.layer, size}, rewrite: plan.rewrite ?? rewrite}
  }

  /** Writes the manifest in our own shape. @returns what is to be said of it */
  async #rewrite({resource, tag}: CopySubject, plan: Plan, reason: string): Promise<string> {
    const {clock, from, signal, to} = this.#options
    const source = new FetchedSource(from, plan.layer, {signal})
    const stated = Date.parse(plan.object.annotations[ANNOTATION.created] ?? '')
    const created = Number.isNaN(stated) ? clock.now() : stated
    const writer = ObjectWriter.for(to)
    await atTarget(writer.write({layer: plan.layer, resource, source, tag}, {created, probe: true, signal}))
    return `its manifest was written anew: ${reason}`
  }
}

async function readManifest(manifest: FetchedManifest, tag: string): Promise<ObjectManifest> {
  return readObjectManifest(manifest, tag)
}

/** Readers of stores ask little of a manifest; registries ask for a whole one. */
function whyNotExact(manifest: FetchedManifest, tag: string): string | undefined {
  try {
    parseImageManifest(manifest, tag)
    return readObjectManifest(manifest, tag).isStandIn ? 'its removal was cut off at the source' : undefined
  } catch {
    return 'it is not quite as the specification wants it'
  }
}
