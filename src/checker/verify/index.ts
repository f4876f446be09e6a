export {type VerifySummary} from './summary.js'
export {type Tier, TIERS} from './tier.js'
export * from './verify.js'
