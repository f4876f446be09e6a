import type {Mac} from '../kloset/mac.js'
import type {ObjectManifest} from '../kloset/object-manifest.js'
import type {ResourceName} from '../kloset/resource.js'
import type {Digest} from '../registry/digest.js'
import type {Repository} from '../registry/interfaces.js'
import type {ContentKeys} from './content-keys.js'
import type {Failures} from './failures.js'
import type {Finding, FindingDetails} from './findings.js'

/** A tag of the store that is to be looked at. */
export interface Subject {
  readonly mac?: Mac | undefined
  readonly resource: ResourceName
  readonly tag: string
}

export interface CheckContext {
  /** Download everything and check digests, envelopes and MACs. */
  readonly deep: boolean
  readonly failures: Failures
  readonly keys: ContentKeys
  /** Told of every byte that was downloaded. */
  readonly onBytes?: ((count: number) => void) | undefined
  readonly repository: Repository
  readonly signal?: AbortSignal | undefined
}

/** What one tag came to. */
export interface ObjectResult {
  readonly findings: readonly Finding[]
  /** Its removal was cut off, and nothing of it is left but the tag: it counts as removed. */
  readonly isEmptied?: boolean
  readonly manifest?: undefined | {readonly content: ObjectManifest; readonly digest: Digest}
  /** Bytes stored under the tag; 0 when they are not there. */
  readonly size: number
}

/** The parts of a finding that say which object it is about. */
export function detailsOf({mac, resource, tag}: Subject): FindingDetails {
  return {object: {mac, resource}, snapshots: 'unknown', tag}
}
