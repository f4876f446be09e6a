export {ContentReader, type ContentReaderOptions} from './content.js'
export {type Change, type ChangeKind, diffSnapshots} from './diff.js'
export {type ExistingPolicy} from './file-restorer.js'
export {followLinks} from './follow.js'
export {openSnapshot} from './open-snapshot.js'
export {type ProblemKind, type RestoreProblem} from './problems.js'
export {Restore, restore, type RestoreOptions, type RestoreProgress, type RestoreSummary} from './restore.js'
export {
  findPath,
  type Found,
  isWithin,
  lookupFound,
  pathInSnapshot,
  rootOf,
  walkBelow,
  type WalkOptions,
} from './selection.js'
