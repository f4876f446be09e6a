import type {CheckContext, Subject} from '../context.js'
import type {Outcome, VerifierOptions} from './outcome.js'

import {type Digest} from '../../registry/digest.js'
import {checkContent} from '../content-check.js'

/** A packfile too large for memory: its digest and MAC as it streams by. */
export async function verifyLarge(
  subject: Subject,
  blob: {readonly digest: Digest; readonly size: number},
  context: CheckContext,
  _options: VerifierOptions,
): Promise<Omit<Outcome, 'digest' | 'size'>> {
  return {findings: await checkContent(subject, blob, context)}
}
