import type {Repository} from '../../../src/registry/interfaces.js'

import {type CopyOptions, type CopyOutcome, copyStore, type CopySummary} from '../../../src/transfer/index.js'
import {TEST_CLOCK} from '../../helpers/test-store.js'

/** A whole copy: everything but what was there already, by tag, and the summary. */
export async function copied(
  from: Repository,
  to: Repository | undefined,
  options: CopyOptions = {},
): Promise<{outcomes: CopyOutcome[]; statuses: Record<string, string>; summary: CopySummary}> {
  const copy = copyStore(from, to, {clock: TEST_CLOCK, concurrency: 4, ...options})
  const outcomes: CopyOutcome[] = []
  for await (const outcome of copy) outcomes.push(outcome)
  const statuses = Object.fromEntries(outcomes.map(({status, tag}) => [tag, status]))
  return {outcomes, statuses, summary: copy.summary}
}
