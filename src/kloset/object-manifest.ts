import type {Descriptor} from '../registry/descriptor.js'

import {hasCode, StoreFormatError} from '../errors.js'
import {type Digest, digestOf, isDigest} from '../registry/digest.js'
import {isImageManifestType, parseManifestJson, type RawManifest} from '../registry/manifest.js'
import {ANNOTATION, MEDIA_TYPE} from '../registry/media-types.js'
import {isStandIn} from '../registry/stand-in-note.js'
import {isCount, isObject, isString, isStringRecord} from '../util/json.js'
import {artifactTypeOf, type ResourceName} from './resource.js'

/** The config blob of every object's manifest. It says nothing: what an object is stands in its tag and its envelope. */
export const CONFIG_BLOB = Buffer.from('{}')

/** Descriptor of `CONFIG_BLOB`, of the media type that the official plugin writes and every registry takes. */
export const CONFIG_DESCRIPTOR: Descriptor = {
  digest: digestOf(CONFIG_BLOB),
  mediaType: MEDIA_TYPE.imageConfig,
  size: CONFIG_BLOB.length,
}

const EMPTY_DIGEST = digestOf(new Uint8Array(0))

export interface ObjectManifestOptions {
  /** False leaves `artifactType` out, for registries that refuse it. */
  readonly artifactType: boolean
  /** Milliseconds since the epoch. */
  readonly created: number
  readonly layer: Descriptor
  readonly resource: ResourceName
  readonly tag: string
}

/** Where an object's bytes are, as its manifest says. */
export interface ObjectManifest {
  readonly annotations: Readonly<Record<string, string>>
  readonly artifactType: string | undefined
  /** The config blob, when the manifest names one with a valid digest; size -1 when not stated. Readers do not need it. */
  readonly config: undefined | {readonly digest: Digest; readonly size: number}
  /** Its removal was cut off: the tag was pointed at this manifest, to be deleted with it. The object is still there. */
  readonly isStandIn: boolean
  readonly layer: Digest
  readonly layerCount: number
  /** Who wrote it: `own` manifests carry a tag annotation and a size that was counted, not guessed from a header. */
  readonly shape: 'official' | 'own'
  /** Size of the layer as the manifest states it; -1 when it states none that can be true. */
  readonly size: number
}

/** The manifest of one object: one layer, the shared config blob, and the tag, so that no two tags share a digest. */
export function buildObjectManifest(options: ObjectManifestOptions): RawManifest {
  const {artifactType, created, layer, resource, tag} = options
  const json = {
    mediaType: MEDIA_TYPE.imageManifest,
    schemaVersion: 2,
    ...(artifactType && {artifactType: artifactTypeOf(resource)}),
    annotations: {[ANNOTATION.created]: new Date(created).toISOString(), [ANNOTATION.refName]: tag},
    config: {digest: CONFIG_DESCRIPTOR.digest, mediaType: CONFIG_DESCRIPTOR.mediaType, size: CONFIG_DESCRIPTOR.size},
    layers: [{digest: layer.digest, mediaType: MEDIA_TYPE.octetStream, size: layer.size}],
  }
  return {bytes: Buffer.from(JSON.stringify(json)), mediaType: MEDIA_TYPE.imageManifest}
}

/**
 * Finds the object's bytes in a manifest, asking no more of it than the official reader does: an image manifest (OCI or
 * Docker) whose first layer has a digest. A layer size that was never counted (the official writer takes it from a
 * header, 0 when there is none) is read as unknown.
 * @param what names the manifest in errors, a tag as a rule
 * @throws ProtocolError when it is not JSON
 * @throws StoreFormatError when it holds no object
 * @see integration-oci storage/oci.go `getByTag`
 */
export function readObjectManifest(manifest: RawManifest, what: string): ObjectManifest {
  const json = parseManifestJson(manifest.bytes, what)
  const {annotations, artifactType, config, layers} = json
  const mediaType = isString(json['mediaType']) ? json['mediaType'] : manifest.mediaType
  if (mediaType !== '' && !isImageManifestType(mediaType)) {
    throw new StoreFormatError(`${what}: not an object's manifest but ${mediaType.slice(0, 120)}`, {facts: {mediaType}})
  }

  const layer: unknown = Array.isArray(layers) ? layers[0] : undefined
  if (!isObject(layer)) throw isStandIn(json) ? emptied(what) : new StoreFormatError(`${what}: manifest has no layer`)
  const {digest, size} = layer
  if (!isString(digest) || !isDigest(digest)) throw new StoreFormatError(`${what}: layer has no valid digest`)
  const names = isStringRecord(annotations) ? annotations : {}
  return {
    annotations: names,
    artifactType: isString(artifactType) ? artifactType : undefined,
    config: readConfig(config),
    isStandIn: isStandIn(json),
    layer: digest,
    layerCount: (layers as unknown[]).length,
    shape: names[ANNOTATION.refName] === undefined ? 'official' : 'own',
    size: isCount(size) && (size > 0 || digest === EMPTY_DIGEST) ? size : -1,
  }
}

/** Whether an error says that an object's removal was cut off when nothing of it was left but the tag. */
export function isEmptied(error: unknown): boolean {
  return hasCode(error, 'STORE_FORMAT') && error.facts['emptied'] === true
}

/** Whether a manifest says that it is the one of this tag, as ours do; one that cannot be read does not. */
export function namesItself(manifest: RawManifest, tag: string): boolean {
  try {
    return readObjectManifest(manifest, tag).annotations[ANNOTATION.refName] === tag
  } catch {
    return false
  }
}

function emptied(what: string): StoreFormatError {
  return new StoreFormatError(`${what}: its removal was cut off, and nothing of it is left but the tag`, {
    facts: {emptied: true},
    suggestions: ['Run again what removed it, or let `repair plan` finish the removal.'],
  })
}

function readConfig(value: unknown): ObjectManifest['config'] {
  if (!isObject(value)) return undefined
  const {digest, size} = value
  if (!isString(digest) || !isDigest(digest)) return undefined
  return {digest, size: isCount(size) ? size : -1}
}
