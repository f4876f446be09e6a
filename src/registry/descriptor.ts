import {ProtocolError} from '../errors.js'
import {isCount, isObject, isString, isStringRecord} from '../util/json.js'
import {type Digest, isDigest} from './digest.js'

/**
 * What a manifest, an index or a response says of a piece of content. `size` is in bytes.
 * @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md
 */
export interface Descriptor {
  readonly annotations?: Readonly<Record<string, string>>
  readonly artifactType?: string
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
}

/** @throws ProtocolError when `value` lacks a media type, a digest or a size */
export function parseDescriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw new ProtocolError(`${what}: not a descriptor`)
  const {annotations, artifactType, digest, mediaType, size} = value
  if (!isString(mediaType)) throw new ProtocolError(`${what}: descriptor without mediaType`)
  if (!isString(digest) || !isDigest(digest)) throw new ProtocolError(`${what}: descriptor without a valid digest`)
  if (!isCount(size)) throw new ProtocolError(`${what}: descriptor without a valid size`)
  return {
    digest,
    mediaType,
    size,
    ...(isStringRecord(annotations) && {annotations}),
    ...(isString(artifactType) && {artifactType}),
  }
}
