import type {Mac} from '../kloset/mac.js'
import type {ResourceName} from '../kloset/resource.js'
import type {Digest} from '../registry/digest.js'

/** `error`: data is gone or wrong, or could not be looked at. `warning`: nothing lost, something to do. */
export type Severity = 'error' | 'info' | 'warning'

/** Every kind of finding with its severity. Scripts branch on the kinds: they never change their meaning. */
export const SEVERITIES = {
  /** A blob of a packfile does not decode, or to other content than its MAC says. */
  'blob-corrupt': 'error',
  /** Blobs that more than one packfile has: what a later deduplication could save. */
  'blob-duplicate': 'info',
  /** The layer under a live tag has gone: the registry's garbage collection, as a rule. */
  'blob-missing': 'error',
  /** Blobs of a packfile that no snapshot needs, beside others that one does: they go when the packfile does. */
  'blob-unreachable': 'info',
  /** A tag came, went or moved while the store was read. Nothing is wrong with that. */
  'changed-while-reading': 'info',
  /** The config blob that manifests share has gone. plakar reads on; copies and some registries will not. */
  'config-blob-missing': 'error',
  /** Another configuration lies in the repository, without the tag that would make it the one. */
  'config-duplicate': 'warning',
  'config-missing': 'error',
  'config-unreadable': 'error',
  /** Downloaded bytes have another digest than the one they were asked for by. */
  'digest-mismatch': 'error',
  'envelope-invalid': 'error',
  /** Tags that no Kloset writer made: counted, never touched. */
  'foreign-tags': 'info',
  /** A tag of the store that resolves is not in the tag list: the list is short, and no answer about it is safe. */
  'list-incomplete': 'error',
  /** A kind of object that comes near what plakar can list through a plugin, or is beyond it. */
  'list-limit': 'warning',
  /** A state places blobs where their packfile has none. */
  'location-invalid': 'error',
  'lock-held': 'info',
  'lock-stale': 'warning',
  /** A lock whose age cannot be read, without the passphrase for example. */
  'lock-unreadable': 'info',
  'mac-mismatch': 'error',
  'manifest-corrupt': 'error',
  'manifest-malformed': 'error',
  /** A listed tag without a manifest: a ghost. */
  'manifest-missing': 'error',
  /** A manifest that readers accept, and that is not quite as the specification wants it. */
  'manifest-unusual': 'warning',
  /** So many states that the first opening of the store on a machine takes long. */
  'many-states': 'info',
  /** The object is not the one that its tag names. */
  'name-mismatch': 'error',
  /** An earlier run found it sound; it is not there any more, and no state says that it was deleted. */
  'object-gone': 'error',
  /** Deleted by maintenance: it goes when the time of grace is over. */
  'packfile-coloured': 'info',
  /** No state knows it: a backup under way, one that was broken off, or a state that was lost. */
  'packfile-unknown': 'info',
  /** No snapshot needs any of its blobs: the next maintenance marks it. */
  'packfile-unreachable': 'info',
  /** A packfile whose footer or index is not sound. */
  'packfile-unreadable': 'error',
  /** A snapshot needs a blob that no packfile has. */
  'reference-missing': 'error',
  /** A removal of the tag was cut off half-way: it leads to a stand-in that was to be deleted. */
  'removal-cut-off': 'warning',
  /** Two tags on one manifest: deleting one by digest deletes both. */
  'shared-digest': 'warning',
  'size-mismatch': 'error',
  /** The official writer did not learn the size and wrote 0. The data is there; copies by other tools will fail. */
  'size-unstated': 'warning',
  /** A snapshot whose header, or a part of whose trees, is sound as a blob and is not what it should be. */
  'snapshot-unreadable': 'error',
  /** An earlier run found it damaged, and none since has found it sound. */
  'standing-damage': 'error',
  /** The state of a snapshot that is deleted. */
  'state-deleted': 'info',
  /** A state whose envelope is sound and whose content is not. */
  'state-unreadable': 'error',
  /** An object that states refer to has no tag. */
  'tag-missing': 'error',
  /** Tags that `doctor`, `bench` or the trial of a tag's deletion has made: left by one that was cut off, or under way. */
  'trial-tags': 'info',
  'type-mismatch': 'error',
  'unknown-version': 'warning',
  /** Not damage: it could not be looked at. The result is not complete. */
  unreachable: 'error',
  'unreferenced-blob': 'info',
  'untagged-manifest': 'info',
  /** A manifest without a tag that holds an object no tag holds: a removed tag that can be put back. */
  'untagged-object': 'warning',
} as const satisfies Readonly<Record<string, Severity>>

export type FindingKind = keyof typeof SEVERITIES

/** One thing found about a store. A value: nothing is printed or thrown for it. */
export interface Finding {
  /** Requests that it took, when it is more than the one. */
  readonly attempts?: number | undefined
  /** The blob inside a packfile that it is about. */
  readonly blob?: undefined | {readonly mac: Mac; readonly type: string}
  /** How many objects share it, when it is about more than one. */
  readonly count?: number | undefined
  /** The blob or manifest concerned. */
  readonly digest?: Digest | undefined
  readonly expected?: number | string | undefined
  readonly found?: number | string | undefined
  readonly kind: FindingKind
  /** One sentence, in lower case, that names the object. */
  readonly message: string
  /** The least destructive thing to do next. */
  readonly nextStep?: string | undefined
  readonly object?: undefined | {readonly mac?: Mac | undefined; readonly resource: ResourceName}
  /** Files that it costs, over all snapshots. */
  readonly paths?: DamagedPaths | undefined
  readonly severity: Severity
  /** Snapshots that it costs; `unknown` while nobody has looked into the store. */
  readonly snapshots?: 'unknown' | readonly string[] | undefined
  /** HTTP status behind it, when there was one. */
  readonly status?: number | undefined
  readonly tag?: string | undefined
}

/** Paths of snapshots that a damage costs. */
export interface DamagedPaths {
  /** False when a damaged part of a tree hides which files lie below it: there may be more than were counted. */
  readonly complete: boolean
  /** Pairs of a snapshot and a path. */
  readonly count: number
  /** The first of them, some twenty at the most. */
  readonly first: readonly string[]
  /** Ranges of paths about which nothing can be told, since the part of the tree that lists them is damaged. */
  readonly hidden?: readonly string[]
}

export type FindingDetails = Omit<Finding, 'kind' | 'message' | 'severity'>

/** Kinds that mean that bytes are lost or wrong. `unreachable` is none of them. */
export function isDamage({kind, severity}: Finding): boolean {
  return severity === 'error' && kind !== 'unreachable' && kind !== 'list-incomplete'
}

/** Kinds that leave the check without an answer. */
export function isGap({kind}: Finding): boolean {
  return kind === 'unreachable' || kind === 'list-incomplete'
}
