import type {Descriptor} from '../descriptor.js'

import {isObject, isString, isStringRecord, type JsonObject} from '../../util/json.js'
import {type Digest, isDigest} from '../digest.js'
import {isImageManifestType, isIndexType, type RawManifest} from '../manifest.js'

/** A manifest that points at a subject, as the referrers list shows it. */
export interface Referrer {
  readonly descriptor: Descriptor
  readonly subject: Digest
}

/**
 * What a manifest adds to the referrers list of its subject; nothing when it has none or is not a manifest we know.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 */
export function referrerOf(manifest: RawManifest, {digest, mediaType, size}: Descriptor): Referrer | undefined {
  if (!isImageManifestType(mediaType) && !isIndexType(mediaType)) return undefined
  const json = lenientJson(manifest.bytes)
  const subject = json && isObject(json['subject']) ? json['subject']['digest'] : undefined
  if (!json || !isString(subject) || !isDigest(subject)) return undefined
  const {annotations} = json
  const artifactType = artifactTypeOf(json, mediaType)
  return {
    descriptor: {
      digest,
      mediaType,
      size,
      ...(isStringRecord(annotations) && {annotations}),
      ...(artifactType !== undefined && {artifactType}),
    },
    subject,
  }
}

/** Digests of the manifests that an index lists; none for anything else. */
export function childrenOf(manifest: RawManifest): Digest[] {
  if (!isIndexType(manifest.mediaType)) return []
  const list = lenientJson(manifest.bytes)?.['manifests']
  if (!Array.isArray(list)) return []
  return list
    .map((entry: unknown) => (isObject(entry) ? entry['digest'] : undefined))
    .filter((digest): digest is Digest => isString(digest) && isDigest(digest))
}

function artifactTypeOf(json: JsonObject, mediaType: string): string | undefined {
  const {artifactType, config} = json
  if (isString(artifactType) && artifactType !== '') return artifactType
  if (!isImageManifestType(mediaType) || !isObject(config)) return undefined
  return isString(config['mediaType']) ? config['mediaType'] : undefined
}

/** A manifest that cannot be read has no subject and no children: whoever asks for it by name gets the error. */
function lenientJson(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
