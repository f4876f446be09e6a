export * from './decoder.js'
export {type Finding, type FindingKind, isDamage, isGap, SEVERITIES, type Severity} from './findings.js'
export * from './gc-check.js'
export {type CheckSummary, exitCodeOf, type Verdict, VERDICTS} from './summary.js'
