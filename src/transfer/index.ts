export {type CopyOptions, type CopyPhase, type CopyProgress, copyStore, type StoreCopy} from './copy.js'
export {deleteTargetOnly, type DeletionOptions, type DeletionOutcome, type TargetLocks} from './deletion.js'
export {
  type DiffEntry,
  diffExitCode,
  type DiffIdentity,
  type DiffOptions,
  diffStores,
  type DiffSummary,
  type StoreDiff,
} from './diff.js'
export {type LedgerRun, MirrorLedger} from './mirror/ledger.js'
export {
  type GoneObject,
  type MirrorOptions,
  mirrorStore,
  type MirrorSummary,
  type StoreMirror,
} from './mirror/mirror.js'
export {type DiffLayer, type DiffSide, type ObjectDifference} from './object-diff.js'
export {COPY_STATUSES, type CopyFailure, type CopyOutcome, type CopyStatus, type CopySubject} from './outcome.js'
export {copyExitCode, type CopySummary} from './summary.js'
