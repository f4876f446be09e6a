import type {Readable} from 'node:stream'

import type {Descriptor} from '../registry/descriptor.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {RawManifest} from '../registry/manifest.js'
import type {TagState} from './plan/types.js'

import {hasCode, isNotFound, StoreFormatError} from '../errors.js'
import {CONFIG_BLOB, CONFIG_DESCRIPTOR, readObjectManifest} from '../kloset/object-manifest.js'
import {type Digest, digestOf, isDigest, parseDigest} from '../registry/digest.js'
import {MAX_MANIFEST_BYTES, parseImageManifest} from '../registry/manifest.js'
import {ANNOTATION, MEDIA_TYPE} from '../registry/media-types.js'
import {collect} from '../util/collect.js'
import {bufferSource, readableOf} from '../util/content-source.js'
import {spool} from '../util/spool.js'
import {tagStateOf} from './tag-state.js'

const ARTIFACT_TYPE = 'application/vnd.kloset-oci.quarantine.v1'
const MANIFEST_TYPE = 'application/vnd.kloset-oci.quarantined-manifest'

/** Names of what a record says, as annotations of its manifest. */
const NOTE = {
  layer: 'io.kloset-oci.quarantine.layer',
  manifest: 'io.kloset-oci.quarantine.manifest',
  mediaType: 'io.kloset-oci.quarantine.media-type',
  plan: 'io.kloset-oci.quarantine.plan',
  tag: 'io.kloset-oci.quarantine.tag',
} as const

/** What was kept of a tag. */
export interface QuarantineRecord {
  /** The object's bytes as they were found: under the digest that they have, not the one they should have. */
  readonly content: Descriptor | undefined
  /** The digest that the kept manifest names for them. */
  readonly layer: Digest | undefined
  readonly manifest: undefined | {readonly descriptor: Descriptor; readonly mediaType: string}
  /** What the tag led to. */
  readonly state: TagState
  readonly tag: string
}

/**
 * Keeps what a repair replaces or removes: a repository, a layout as a rule, with one manifest for each. Bytes are kept
 * as they are found, damaged or not.
 */
export class Quarantine {
  readonly #plan: string
  readonly #repository: Repository

  /** @param plan identifier of the plan, which its records are named after */
  constructor(repository: Repository, plan: string) {
    this.#plan = plan
    this.#repository = repository
  }

  get location(): string {
    return this.#repository.location
  }

  async close(): Promise<void> {
    await this.#repository.close()
  }

  /** What was kept under a record's name. @throws NotFoundError | StoreFormatError */
  async load(name: string, options?: CallOptions): Promise<QuarantineRecord> {
    const fetched = await this.#repository.manifests.get(name, options)
    const {annotations, artifactType, layers} = parseImageManifest(fetched, name)
    const tag = annotations[ANNOTATION.refName]
    const state = annotations[NOTE.manifest]
    const kept = annotations[NOTE.tag]
    if (artifactType !== ARTIFACT_TYPE || tag !== name || kept === undefined || state === undefined) {
      throw new StoreFormatError(`${this.location}: ${name} is no record of a quarantine`)
    }

    const layer = annotations[NOTE.layer]
    const manifest = layers.find(({mediaType}) => mediaType === MANIFEST_TYPE)
    const mediaType = annotations[NOTE.mediaType]
    return {
      content: layers.find((one) => one.mediaType === MEDIA_TYPE.octetStream),
      layer: layer !== undefined && isDigest(layer) ? layer : undefined,
      manifest: manifest && mediaType !== undefined ? {descriptor: manifest, mediaType} : undefined,
      state: state === 'absent' || state === 'unreadable' ? state : parseDigest(state),
      tag: kept,
    }
  }

  /** The bytes of a kept manifest. */
  async manifestOf({manifest, tag}: QuarantineRecord, {signal}: CallOptions = {}): Promise<RawManifest | undefined> {
    if (!manifest) return undefined
    const stream = await this.#repository.blobs.fetch(manifest.descriptor, {signal})
    return {bytes: await collect(stream, {limit: MAX_MANIFEST_BYTES, what: tag}), mediaType: manifest.mediaType}
  }

  /** The kept bytes of an object. */
  async open(content: Descriptor, options?: CallOptions) {
    return this.#repository.blobs.fetch(content, options)
  }

  /**
   * Copies what a tag leads to: its manifest and the object's bytes, as far as they can be read.
   * @param name of the record; the same one again replaces it
   */
  async save(name: string, tag: string, from: Repository, {signal}: CallOptions = {}): Promise<QuarantineRecord> {
    const state = await tagStateOf(from, tag, {signal})
    const manifest = await readManifest(from, tag, signal)
    const layer = manifest && layerOf(manifest, tag)
    const content = layer && (await this.#keepBlob(from, layer, signal))
    const kept = manifest && (await this.#keepManifest(manifest, signal))
    await this.#write(name, {content, layer, manifest: kept, state, tag}, manifest?.mediaType, signal)
    return {
      content,
      layer,
      manifest: kept && manifest && {descriptor: kept, mediaType: manifest.mediaType},
      state,
      tag,
    }
  }

  /** Keeps bytes that a step has made and that are about to be written: a run that is resumed writes the same ones. */
  async stage(name: string, tag: string, bytes: Uint8Array, {signal}: CallOptions = {}): Promise<Descriptor> {
    const content = {digest: digestOf(bytes), mediaType: MEDIA_TYPE.octetStream, size: bytes.length}
    await this.#repository.blobs.push(content, bufferSource(bytes), {signal})
    await this.#write(
      name,
      {content, layer: content.digest, manifest: undefined, state: 'absent', tag},
      undefined,
      signal,
    )
    return content
  }

  /** Reads the bytes without believing their digest, which is what may be wrong with them. */
  async #keepBlob(from: Repository, digest: Digest, signal: AbortSignal | undefined): Promise<Descriptor | undefined> {
    const found = await openUnchecked(from, digest, signal)
    if (!found) return undefined
    const spooled = await spool(found.stream, {signal})
    try {
      const target = {
        digest: parseDigest(`sha256:${spooled.sha256}`),
        mediaType: MEDIA_TYPE.octetStream,
        size: spooled.size,
      }
      await this.#repository.blobs.push(target, spooled, {signal})
      return target
    } finally {
      await spooled.dispose()
    }
  }

  async #keepManifest({bytes}: RawManifest, signal: AbortSignal | undefined): Promise<Descriptor> {
    const target = {digest: digestOf(bytes), mediaType: MANIFEST_TYPE, size: bytes.byteLength}
    await this.#repository.blobs.push(target, bufferSource(bytes), {signal})
    return target
  }

  async #write(
    name: string,
    record: Omit<QuarantineRecord, 'manifest'> & {readonly manifest: Descriptor | undefined},
    mediaType: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const {content, layer, manifest, state, tag} = record
    await this.#repository.blobs.push(CONFIG_DESCRIPTOR, bufferSource(CONFIG_BLOB), {signal})
    const layers = [...(manifest ? [manifest] : []), ...(content ? [content] : [])]
    const json = {
      annotations: {
        [ANNOTATION.refName]: name,
        [NOTE.manifest]: state,
        [NOTE.plan]: this.#plan,
        [NOTE.tag]: tag,
        ...(layer && {[NOTE.layer]: layer}),
        ...(mediaType !== undefined && {[NOTE.mediaType]: mediaType}),
      },
      artifactType: ARTIFACT_TYPE,
      config: CONFIG_DESCRIPTOR,
      // A manifest has a layer: of a tag that led to nothing there is none, and the config stands in.
      layers: layers.length > 0 ? layers : [CONFIG_DESCRIPTOR],
      mediaType: MEDIA_TYPE.imageManifest,
      schemaVersion: 2,
    }
    const bytes = Buffer.from(JSON.stringify(json))
    await this.#repository.manifests.push({bytes, mediaType: MEDIA_TYPE.imageManifest}, {signal, tag: name})
  }
}

/** A blob's bytes whatever their digest is; none when it is not there. */
export async function openUnchecked(
  repository: Repository,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<undefined | {readonly size: number; readonly stream: Readable}> {
  try {
    const {size} = await repository.blobs.resolve(digest, {signal})
    if (size === 0) return {size, stream: readableOf(Buffer.alloc(0))}
    const target = {digest, mediaType: MEDIA_TYPE.octetStream, size}
    return {size, stream: await repository.blobs.fetch(target, {range: {length: size, offset: 0}, signal})}
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

function layerOf(manifest: RawManifest, tag: string): Digest | undefined {
  try {
    return readObjectManifest(manifest, tag).layer
  } catch {
    return undefined
  }
}

async function readManifest(
  repository: Repository,
  tag: string,
  signal: AbortSignal | undefined,
): Promise<RawManifest | undefined> {
  try {
    return await repository.manifests.get(tag, {signal})
  } catch (error) {
    if (isNotFound(error) || hasCode(error, 'INTEGRITY') || hasCode(error, 'PROTOCOL')) return undefined
    throw error
  }
}
