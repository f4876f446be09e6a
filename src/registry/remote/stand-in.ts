import {randomBytes} from 'node:crypto'

import type {Descriptor} from '../descriptor.js'

import {isStringRecord, type JsonObject} from '../../util/json.js'
import {digestOf} from '../digest.js'
import {parseManifestJson, type RawManifest} from '../manifest.js'
import {MEDIA_TYPE} from '../media-types.js'
import {STAND_IN_NOTE} from '../stand-in-note.js'

/** The blob that a manifest of nothing names as its configuration. */
export const EMPTY_CONFIG_BYTES = Buffer.from('{}')
export const EMPTY_CONFIG: Descriptor = {
  digest: digestOf(EMPTY_CONFIG_BYTES),
  mediaType: MEDIA_TYPE.emptyJson,
  size: EMPTY_CONFIG_BYTES.length,
}

/**
 * The same manifest with one annotation more, so that it has a digest of its own that nothing else can share. A tag
 * that points at it for a moment still leads to its content, and the registry has taken this kind of manifest before.
 */
export function standInFor({bytes, mediaType}: RawManifest): RawManifest {
  const json = parseManifestJson(bytes, 'manifest')
  const annotations = isStringRecord(json['annotations']) ? json['annotations'] : {}
  // A subject would put the stand-in on the list of its referrers.
  return encode({...json, annotations: {...annotations, [STAND_IN_NOTE]: nonce()}, subject: undefined}, mediaType)
}

/** A manifest of nothing, for when the one to be replaced cannot be read or names blobs that have gone. */
export function emptyStandIn(): RawManifest {
  return encode(
    {
      annotations: {[STAND_IN_NOTE]: nonce()},
      artifactType: MEDIA_TYPE.emptyJson,
      config: EMPTY_CONFIG,
      layers: [],
      mediaType: MEDIA_TYPE.imageManifest,
      schemaVersion: 2,
    },
    MEDIA_TYPE.imageManifest,
  )
}

/** Something that is nowhere yet. */
export function nonce(): string {
  return randomBytes(12).toString('hex')
}

function encode(json: JsonObject, mediaType: string): RawManifest {
  return {bytes: Buffer.from(JSON.stringify(json)), mediaType}
}
