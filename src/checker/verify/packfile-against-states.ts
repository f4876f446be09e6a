import type {Subject} from '../context.js'
import type {Finding} from '../findings.js'
import type {StateBook} from '../state-book.js'
import type {TagTable} from '../tag-table.js'
import type {Outcome} from './outcome.js'

import {ENVELOPE_BYTES} from '../../kloset/envelope.js'
import {LOCK_TTL_MS} from '../../kloset/lock.js'
import {tagOf} from '../../kloset/resource.js'
import {detailsOf} from '../context.js'
import {finding} from '../failures.js'

export interface LostStatesContext {
  readonly book: StateBook
  readonly now: number
  readonly tags: TagTable
}

/**
 * States that have no tag: a packfile that no state knows ends their snapshot. Between its last packfile and its state a
 * backup takes moments.
 */
export function* lostStates(
  {mac: packfile, tag: holder}: Subject,
  {verdict}: Outcome,
  {book, now, tags}: LostStatesContext,
): Generator<Finding> {
  if (!book.isWhole || book.knows(packfile!) || verdict?.written === undefined) return
  if (verdict.written + LOCK_TTL_MS > now) return
  for (const mac of verdict.snapshots) {
    const tag = tagOf('state', mac)
    if (tags.isListed(tag)) continue
    const message = `${tag}: the state of a snapshot in ${holder} has no tag; it was lost, or never written`
    yield finding('tag-missing', message, {...detailsOf({mac, resource: 'state', tag}), snapshots: [mac]})
  }
}

/** A state that places a blob behind the end of a packfile. Of one that is damaged itself it says nothing wrong. */
export function misplacedBlob(subject: Subject, outcome: Outcome, book: StateBook): Finding | undefined {
  const reach = book.reach(subject.mac!)
  const isSound = outcome.digest !== undefined && outcome.findings.every(({severity}) => severity !== 'error')
  // The envelope's header and MAC are not counted.
  const room = outcome.size - ENVELOPE_BYTES
  if (!reach || !isSound || reach.end <= room) return undefined
  const tag = tagOf('state', reach.state)
  const message = `${tag}: places a blob at the end ${reach.end} of ${subject.tag}, which has ${room} bytes of them`
  return finding('location-invalid', message, {
    ...detailsOf({mac: reach.state, resource: 'state', tag}),
    expected: room,
    found: reach.end,
  })
}
