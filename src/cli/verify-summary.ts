import type {Tier, VerifySummary} from '../checker/index.js'

import {VERDICT_TEXTS} from './findings.js'
import {humanCount, humanSize, plural, table} from './format.js'

const TIER_TEXTS: Readonly<Record<Tier, string>> = {
  data: 'data: digests, MACs, every blob and every reference',
  digest: 'digest: every byte against its digest, nothing inside',
  mac: 'mac: digests, MACs, states and the indexes of packfiles, blobs not',
}

/** What a person reads last of a verification. */
export function verifyLines(summary: VerifySummary): string[] {
  const {bytesRead, findings, kinds, left, nextSteps, notChecked, tier, verdict, verified} = summary
  const rows = [
    ['tier', TIER_TEXTS[tier]],
    ['verified', `${plural(verified.objects, 'object')}, ${humanSize(verified.bytes)} (${humanSize(bytesRead)} read)`],
    ...(left > 0 ? [['left', `${plural(left, 'packfile')}: the budget ended first`]] : []),
    ...notChecked.map((text) => ['not checked', text]),
    ['found', `${plural(findings.error, 'error')}, ${plural(findings.warning, 'warning')}, ${findings.info} info`],
    ...Object.entries(kinds).map(([kind, number]) => ['', `${String(number).padStart(6)}  ${kind}`]),
    ...snapshotRows(summary),
    ...ledgerRows(summary),
    ['verdict', VERDICT_TEXTS[verdict]],
  ]
  const steps = nextSteps.map((step, index) => `  ${index + 1}. ${step}`)
  return [...table(rows), ...(steps.length > 0 ? ['', 'next steps', ...steps] : [])]
}

function snapshotRows({complete, left, snapshots, tier}: VerifySummary): string[][] {
  if (!snapshots) return []
  const {damaged, total} = snapshots
  // That none is damaged is said only when all of the blobs were looked at.
  if (damaged.length === 0 && (tier !== 'data' || !complete || left > 0)) return []
  const rows = damaged.map((id) => ['', id])
  return [['snapshots', `${humanCount(damaged.length)} of ${humanCount(total)} damaged`], ...rows]
}

function ledgerRows({ledger}: VerifySummary): string[][] {
  if (!ledger) return []
  const {gone, ignoredLines, never, oldest, sound, standing} = ledger
  const since = oldest === undefined ? '' : `, the longest ago on ${oldest}`
  return [
    ['ledger', `${humanCount(sound)} packfiles were found sound${since}; ${humanCount(never)} never yet`],
    ...(standing > 0 ? [['', `${humanCount(standing)} objects were found damaged and not found sound since`]] : []),
    ...(gone > 0 ? [['', `${humanCount(gone)} objects have gone since, and nothing says why`]] : []),
    ...(ignoredLines > 0 ? [['', `${humanCount(ignoredLines)} lines of it could not be read`]] : []),
  ]
}
