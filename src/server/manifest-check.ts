import {type Descriptor, parseDescriptor} from '../registry/descriptor.js'
import {type Digest} from '../registry/digest.js'
import {isImageManifestType, isIndexType, parseManifestJson} from '../registry/manifest.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {isObject, isString, type JsonObject} from '../util/json.js'
import {HttpFault} from './faults.js'

/** What a manifest names, as far as a registry has to know. */
export interface ManifestContent {
  /** Blobs that must be there. */
  readonly blobs: readonly Descriptor[]
  /** Manifests that must be there. */
  readonly manifests: readonly Descriptor[]
  readonly mediaType: string
  readonly subject: Digest | undefined
}

/** A layer that may not be copied to registries. @see https://github.com/opencontainers/image-spec/blob/main/layer.md */
const NOT_DISTRIBUTABLE = /nondistributable|\.foreign\./

/** Its digest is not of its bytes: nobody could check it. */
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/

const MEDIA_TYPE_FORM = /^[\w!#$&^+.-]{1,127}\/[\w!#$&^+.-]{1,127}$/

/**
 * Reads a pushed manifest and checks its form. A media type that is not known is taken as it is, if it is JSON.
 * @param contentType the request's, with or without parameters
 * @throws HttpFault 400
 */
export function readManifest(bytes: Uint8Array, contentType: string | undefined): ManifestContent {
  try {
    return read(parseManifestJson(bytes, 'manifest'), contentType?.split(';', 1)[0]?.trim() ?? '')
  } catch (error) {
    if (error instanceof HttpFault) throw error
    throw invalid(error instanceof Error ? error.message : 'manifest is not sound', error)
  }
}

function read(json: JsonObject, announced: string): ManifestContent {
  const own = json['mediaType']
  if (own !== undefined && !isString(own)) throw invalid('mediaType is not text')
  const mediaType = announced === '' ? (own ?? guessed(json)) : announced
  if (!MEDIA_TYPE_FORM.test(mediaType)) throw invalid('Content-Type is not a media type')
  if (own !== undefined && own !== '' && own !== mediaType) throw invalid('mediaType and Content-Type disagree')
  if (SCHEMA_1.test(mediaType)) throw invalid('schema 1 manifests are not taken')
  const subject = subjectOf(json)
  if (isImageManifestType(mediaType)) return {...imageContent(json), manifests: [], mediaType, subject}
  if (isIndexType(mediaType)) return {blobs: [], manifests: indexContent(json), mediaType, subject}
  return {blobs: [], manifests: [], mediaType, subject: undefined}
}

function guessed(json: JsonObject): string {
  if (Array.isArray(json['manifests'])) return MEDIA_TYPE.imageIndex
  if (Array.isArray(json['layers'])) return MEDIA_TYPE.imageManifest
  throw invalid('neither Content-Type nor mediaType says what it is')
}

function imageContent(json: JsonObject): {blobs: Descriptor[]} {
  checkVersion(json)
  // A document that reads as both is a known way to show one thing to one tool and another to the next.
  if (json['manifests'] !== undefined) throw invalid('an image manifest with a list of manifests')
  const {layers} = json
  const config = parseDescriptor(json['config'], 'config')
  if (layers !== undefined && layers !== null && !Array.isArray(layers)) throw invalid('layers is not a list')
  const blobs = [config]
  for (const [index, layer] of (Array.isArray(layers) ? layers : []).entries()) {
    const descriptor = parseDescriptor(layer, `layers[${index}]`)
    if (!isElsewhere(layer, descriptor)) blobs.push(descriptor)
  }

  return {blobs}
}

function indexContent(json: JsonObject): Descriptor[] {
  checkVersion(json)
  if (json['layers'] !== undefined || json['config'] !== undefined) throw invalid('an index with config or layers')
  const list = json['manifests']
  if (list === null) return []
  if (!Array.isArray(list)) throw invalid('manifests is not a list')
  return list.map((entry, index) => parseDescriptor(entry, `manifests[${index}]`))
}

function checkVersion({schemaVersion}: JsonObject): void {
  if (schemaVersion !== 2) throw invalid('schemaVersion is not 2')
}

function subjectOf({subject}: JsonObject): Digest | undefined {
  return subject === undefined || subject === null ? undefined : parseDescriptor(subject, 'subject').digest
}

/** Whether a layer is to be had somewhere else and need not be here. */
function isElsewhere(layer: unknown, {mediaType}: Descriptor): boolean {
  const urls = isObject(layer) ? layer['urls'] : undefined
  return NOT_DISTRIBUTABLE.test(mediaType) || (Array.isArray(urls) && urls.length > 0)
}

function invalid(message: string, cause?: unknown): HttpFault {
  return new HttpFault(400, 'MANIFEST_INVALID', message, {cause})
}
