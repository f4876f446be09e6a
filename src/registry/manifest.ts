import {ProtocolError} from '../errors.js'
import {isNestedDeeper, isObject, isString, isStringRecord, type JsonObject} from '../util/json.js'
import {type Descriptor, parseDescriptor} from './descriptor.js'
import {digestOf} from './digest.js'
import {MEDIA_TYPE} from './media-types.js'

/** A manifest is refused beyond this size: the specification asks registries to take at least 4 MiB, and ours are 1 KiB. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024

/** Manifests nest four deep; what nests without end is made to bring down whoever walks over it. */
const MAX_DEPTH = 64

/** A manifest as its exact bytes: the digest is of these, so they are never re-encoded. */
export interface RawManifest {
  readonly bytes: Uint8Array
  readonly mediaType: string
}

export interface FetchedManifest extends RawManifest {
  readonly descriptor: Descriptor
}

/** An image manifest (OCI or Docker schema 2), decoded. */
export interface ImageManifest {
  readonly annotations: Readonly<Record<string, string>>
  readonly artifactType: string | undefined
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly mediaType: string
  readonly subject: Descriptor | undefined
}

export function isImageManifestType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.imageManifest || mediaType === MEDIA_TYPE.dockerManifest
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.imageIndex || mediaType === MEDIA_TYPE.dockerManifestList
}

export function describeManifest({bytes, mediaType}: RawManifest): Descriptor {
  return {digest: digestOf(bytes), mediaType, size: bytes.byteLength}
}

/** Manifests are looked at by several, one after the other. */
const parsed = new WeakMap<Uint8Array, JsonObject>()

/**
 * Decodes a manifest, once for the same array: its bytes must not change afterwards.
 * @throws ProtocolError when the bytes are not a JSON object
 */
export function parseManifestJson(bytes: Uint8Array, what: string): JsonObject {
  const known = parsed.get(bytes)
  if (known) return known
  if (isNestedDeeper(bytes, MAX_DEPTH)) throw new ProtocolError(`${what}: manifest is nested too deeply`)
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch {
    // Without the parser's words: they repeat the text.
    throw new ProtocolError(`${what}: manifest is not JSON`)
  }

  if (!isObject(value)) throw new ProtocolError(`${what}: manifest is not a JSON object`)
  parsed.set(bytes, value)
  return value
}

/**
 * Decodes an image manifest.
 * @param what names the manifest in errors, a tag or a digest
 * @throws ProtocolError when it is not one (an index, HTML, a missing config or layer list)
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md
 */
export function parseImageManifest({bytes, mediaType}: RawManifest, what: string): ImageManifest {
  const json = parseManifestJson(bytes, what)
  const {annotations, artifactType, config, layers, subject} = json
  const type = isString(json['mediaType']) ? json['mediaType'] : mediaType
  if (!isImageManifestType(type)) throw new ProtocolError(`${what}: not an image manifest but ${type || 'untyped'}`)
  if (!Array.isArray(layers)) throw new ProtocolError(`${what}: manifest without layers`)
  return {
    annotations: isStringRecord(annotations) ? annotations : {},
    artifactType: isString(artifactType) ? artifactType : undefined,
    config: parseDescriptor(config, `${what}: config`),
    layers: layers.map((layer, index) => parseDescriptor(layer, `${what}: layers[${index}]`)),
    mediaType: type,
    subject: subject === undefined ? undefined : parseDescriptor(subject, `${what}: subject`),
  }
}
