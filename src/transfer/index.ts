export {type CopyOptions, type CopyPhase, type CopyProgress, copyStore, type StoreCopy} from './copy.js'
export {deleteTargetOnly, type DeletionOptions, type DeletionOutcome} from './deletion.js'
export {COPY_STATUSES, type CopyFailure, type CopyOutcome, type CopyStatus, type CopySubject} from './outcome.js'
export {copyExitCode, type CopySummary} from './summary.js'
