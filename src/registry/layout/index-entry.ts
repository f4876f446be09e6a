import {ProtocolError} from '../../errors.js'
import {isObject, isString, isStringRecord, type JsonObject} from '../../util/json.js'
import {type Descriptor, parseDescriptor} from '../descriptor.js'
import {type Digest} from '../digest.js'
import {ANNOTATION} from '../media-types.js'
import {isTag} from '../tag.js'

/** One descriptor of `index.json`. Never changed: an update replaces it. */
export interface IndexEntry {
  readonly artifactType?: string
  readonly digest: Digest
  readonly mediaType: string
  /** The value of the reference annotation, whatever it is. */
  readonly name?: string
  /** JSON of an entry that holds more than this program writes, so that nothing of it is lost. */
  readonly raw?: string
  readonly size: number
  /** The tag that `name` means: `name` itself, or the tag of a full reference. */
  readonly tag?: string
}

const PLAIN_TYPE = /^[\w+./-]+$/

const PLAIN_FIELDS = new Set(['annotations', 'artifactType', 'digest', 'mediaType', 'size'])

/**
 * The tag that a reference annotation means. Other tools write a tag alone or a full reference
 * (`docker.io/library/busybox:1.36`, `localhost:5000/a/b:tag@sha256:...`).
 */
export function tagOfName(name: string): string | undefined {
  if (isTag(name)) return name
  const [reference = ''] = name.split('@', 1)
  const colon = reference.lastIndexOf(':')
  const tag = reference.slice(colon + 1)
  return colon > 0 && isTag(tag) ? tag : undefined
}

/** Makes one string of many equal ones: an index names the same two or three media types for ever. */
export class Interner {
  readonly #known = new Map<string, string>()

  of(value: string): string {
    const known = this.#known.get(value)
    if (known !== undefined) return known
    if (this.#known.size < 1000) this.#known.set(value, value)
    return value
  }
}

/** @throws ProtocolError naming `what` */
export function parseEntry(json: string, what: string, interner: Interner): IndexEntry {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (error) {
    throw new ProtocolError(`${what}: not JSON`, {cause: error})
  }

  const {artifactType, digest, mediaType, size} = parseDescriptor(value, what)
  const {annotations} = value as JsonObject
  if (annotations !== undefined && annotations !== null && !isStringRecord(annotations)) {
    throw new ProtocolError(`${what}: annotations are not strings`)
  }

  const name = isStringRecord(annotations) ? annotations[ANNOTATION.refName] : undefined
  const tag = name === undefined ? undefined : tagOfName(name)
  const plain =
    Object.keys(value as JsonObject).every((key) => PLAIN_FIELDS.has(key)) &&
    Object.keys(annotations ?? {}).every((key) => key === ANNOTATION.refName)
  return {
    digest,
    mediaType: interner.of(mediaType),
    size,
    ...(artifactType !== undefined && {artifactType: interner.of(artifactType)}),
    ...(name !== undefined && {name}),
    ...(tag !== undefined && {tag: tag === name ? name : tag}),
    ...(!plain && {raw: JSON.stringify(value)}),
  }
}

/** The entry's JSON as it stands in `index.json`. */
export function formatEntry({artifactType, digest, mediaType, name, raw, size, tag}: IndexEntry): string {
  if (raw !== undefined) return raw
  if (artifactType === undefined && tag !== undefined && tag === name && PLAIN_TYPE.test(mediaType)) {
    // The usual entry, with nothing in it that JSON would escape: several times faster than JSON.stringify.
    return `{"mediaType":"${mediaType}","digest":"${digest}","size":${size},"annotations":{"${ANNOTATION.refName}":"${tag}"}}`
  }

  return JSON.stringify({
    digest,
    mediaType,
    size,
    ...(artifactType !== undefined && {artifactType}),
    ...(name !== undefined && {annotations: {[ANNOTATION.refName]: name}}),
  })
}

export function descriptorOfEntry({artifactType, digest, mediaType, size}: IndexEntry): Descriptor {
  return {digest, mediaType, size, ...(artifactType !== undefined && {artifactType})}
}

export function entryOf({artifactType, digest, mediaType, size}: Descriptor, tag?: string): IndexEntry {
  return {
    digest,
    mediaType,
    size,
    ...(artifactType !== undefined && {artifactType}),
    ...(tag !== undefined && {name: tag, tag}),
  }
}

/** The same descriptor under another name, or under none, with everything else that the entry holds. */
export function renamed(entry: IndexEntry, tag?: string): IndexEntry {
  const {raw} = entry
  const base = entryOf(descriptorOfEntry(entry), tag)
  if (raw === undefined) return base
  const value = JSON.parse(raw) as unknown
  if (!isObject(value)) return base
  const {annotations, ...fields} = value
  const kept = isStringRecord(annotations) ? {...annotations} : {}
  delete kept[ANNOTATION.refName]
  if (tag !== undefined) kept[ANNOTATION.refName] = tag
  const json = {...fields, ...(Object.keys(kept).length > 0 && {annotations: kept})}
  return {...base, raw: JSON.stringify(json)}
}

/** True when a name says more than a tag, so that its entry is not ours to fold into another. */
export function isBare(entry: IndexEntry): boolean {
  return !isString(entry.name)
}
