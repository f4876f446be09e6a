export * from './decoder.js'
export {
  type DamagedPaths,
  type Finding,
  type FindingKind,
  isDamage,
  isGap,
  SEVERITIES,
  type Severity,
} from './findings.js'
export * from './gc-check.js'
export {type Clocks, type LockLook, LockReader, type LockReaderOptions, type LockRiddle, staleAt} from './lock-look.js'
export {type CheckSummary, exitCodeOf, type Verdict, VERDICTS} from './summary.js'
export {type Amount, type BlobUsage, measureBlobs, type PackfileUse} from './usage/blob-usage.js'
export {
  type Drop,
  type InsideUsage,
  measureUsage,
  type UsageOptions,
  type UsagePhase,
  type UsageReport,
} from './usage/usage.js'
export * from './verify/index.js'
