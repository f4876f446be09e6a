export {type ApplyResult, type StepResult} from './apply/apply.js'
export {type UndoneStep, type UndoResult} from './apply/undo.js'
export {decodePlan, encodePlan, idOf, readPlan, type SealedPlan} from './plan/plan-file.js'
export {type PlanOptions, type PlanProgress, planRepair} from './plan/planner.js'
export {
  PLAN_SCHEMA,
  type RepairAction,
  type RepairPlan,
  type RepairStep,
  type SourceKind,
  type Unfixable,
} from './plan/types.js'
export {applyRepair, journalPathOf, type RunOptions, undoRepair} from './run.js'
export {openSource} from './sources/open-sources.js'
export {type Source} from './sources/source.js'
