import {InvalidReferenceError} from '../errors.js'
import {type Digest, isDigest} from './digest.js'

/** @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests */
const TAG = /^\w[\w.-]{0,127}$/

export function isTag(value: string): boolean {
  return TAG.test(value)
}

/** @throws InvalidReferenceError unless `value` is a tag: 1 to 128 of letters, digits, `_`, `.` and `-` */
export function parseTag(value: string): string {
  if (isTag(value)) return value
  throw new InvalidReferenceError(`not a tag: "${value.slice(0, 160)}"`, {
    suggestions: ['A tag is at most 128 letters, digits, "_", "." or "-", and does not begin with "." or "-".'],
  })
}

/** What a manifest is asked for by. @throws InvalidReferenceError when it is neither a tag nor a digest */
export function parseManifestReference(value: string): {readonly digest: Digest} | {readonly tag: string} {
  return isDigest(value) ? {digest: value} : {tag: parseTag(value)}
}
