import type {Finding} from './findings.js'
import type {Tally} from './summary.js'

import {MAX_LISTED} from '../kloset/list-limit.js'
import {finding} from './failures.js'

/** From this part of the limit on there is little time left to move. */
const NEAR = 0.8

/** plakar reads all states where it opens a store for the first time: with so many that takes long. */
const MANY_STATES = 1000

/** What a store grows towards: limits of plakar's, by the objects that were counted. */
export function* checkLimits({bytes, objects}: Pick<Tally, 'bytes' | 'objects'>): Generator<Finding> {
  for (const resource of ['packfile', 'state'] as const) {
    const count = objects[resource]
    if (count < MAX_LISTED * NEAR) continue
    const state = count > MAX_LISTED ? 'it cannot open this store any more' : 'beyond that it cannot open the store'
    const message = `${count} ${resource}s: plakar takes a list of ${MAX_LISTED} from a plugin (4 MiB), ${state}`
    yield finding('list-limit', message, {expected: MAX_LISTED, found: count})
  }

  if (objects.state >= MANY_STATES) {
    const mib = Math.round(bytes.state / 1024 ** 2)
    const message = `${objects.state} states, ${mib} MiB: plakar reads them all where it opens the store for the first time`
    yield finding('many-states', message, {count: objects.state})
  }
}
