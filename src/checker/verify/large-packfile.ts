import type {CheckContext, Subject} from '../context.js'
import type {Outcome} from './outcome.js'

import {type Digest} from '../../registry/digest.js'
import {checkContent} from '../content-check.js'
import {detailsOf} from '../context.js'
import {finding} from '../failures.js'

/**
 * A packfile too large for memory: its digest and MAC as it streams by. Nobody has seen what lies in it then, and that
 * is a gap, not a clean answer.
 */
export async function verifyLarge(
  subject: Subject,
  blob: {readonly digest: Digest; readonly size: number},
  context: CheckContext,
): Promise<Omit<Outcome, 'digest' | 'size'>> {
  const findings = await checkContent(subject, blob, context)
  const message = `${subject.tag}: has ${blob.size} bytes, too many for its index and blobs to be looked into`
  return {
    findings: [...findings, finding('unreachable', message, {...detailsOf(subject), digest: blob.digest})],
  }
}
