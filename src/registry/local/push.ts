import type {ContentSource} from '../../util/content-source.js'
import type {CallOptions} from '../interfaces.js'

import {IntegrityError, InvalidArgumentError} from '../../errors.js'
import {isCount} from '../../util/json.js'
import {type Descriptor} from '../descriptor.js'
import {algorithmOf, type Digest, digestOf} from '../digest.js'
import {MAX_MANIFEST_BYTES, type RawManifest} from '../manifest.js'

/** How a backend that owns its storage takes a manifest: also under a digest of the caller's choice of algorithm. */
export interface ManifestPushOptions extends CallOptions {
  /** Store it under this digest (sha512 perhaps) and not under its sha256. The bytes must have it. */
  readonly digest?: Digest | undefined
  readonly tag?: string | undefined
}

/** @throws IntegrityError | InvalidArgumentError when the source cannot be what `target` says */
export function checkPushTarget(target: Descriptor, source: ContentSource): void {
  if (!isCount(target.size)) throw new InvalidArgumentError(`push of ${target.digest}: size is not known`)
  if (source.size === target.size) return
  throw new IntegrityError(`push of ${target.digest}: source has ${source.size} bytes, expected ${target.size}`, {
    facts: {actualSize: source.size, expected: target.digest, expectedSize: target.size},
  })
}

/** The descriptor under which a manifest is stored. @throws IntegrityError | InvalidArgumentError */
export function describePushed({bytes, mediaType}: RawManifest, digest?: Digest): Descriptor {
  if (bytes.byteLength > MAX_MANIFEST_BYTES) {
    throw new InvalidArgumentError(`manifest of ${bytes.byteLength} bytes is larger than ${MAX_MANIFEST_BYTES}`, {
      facts: {limit: MAX_MANIFEST_BYTES, size: bytes.byteLength},
    })
  }

  if (mediaType === '') throw new InvalidArgumentError('manifest without a media type')
  const actual = digestOf(bytes, digest === undefined ? 'sha256' : algorithmOf(digest))
  if (digest !== undefined && digest !== actual) {
    throw new IntegrityError(`manifest has digest ${actual}, expected ${digest}`, {facts: {actual, expected: digest}})
  }

  return {digest: actual, mediaType, size: bytes.byteLength}
}
