import type {Mac} from '../mac.js'

import {NIL_MAC} from './entries.js'

/** States in the order in which their entries apply. */
export interface StateOrder {
  /** States that follow one another in a ring: kloset never gets to them, and leaves them out without a word. */
  readonly cyclic: readonly Mac[]
  /** Every other state, each after its parent. */
  readonly ordered: readonly Mac[]
  /** States whose parent is not among them. That is sound: maintenance removes old states. */
  readonly orphaned: readonly Mac[]
}

/**
 * Orders states: a state takes back entries of the ones that it follows, so those come first.
 * @param parents the parent of each state, undefined or `NIL_MAC` for one that has none
 * @see kloset repository/repository.go `TopoSort`
 */
export function orderStates(parents: ReadonlyMap<Mac, Mac | undefined>): StateOrder {
  const children = new Map<Mac, Mac[]>()
  const roots: Mac[] = []
  const orphaned: Mac[] = []
  for (const [state, parent] of parents) {
    const known = parent !== undefined && parents.has(parent)
    if (!known) roots.push(state)
    if (!known && parent !== undefined && parent !== NIL_MAC) orphaned.push(state)
    if (!known) continue
    const siblings = children.get(parent)
    if (siblings) siblings.push(state)
    else children.set(parent, [state])
  }

  const ordered: Mac[] = []
  for (const pending = [...roots].reverse(); pending.length > 0;) {
    const state = pending.pop()!
    ordered.push(state)
    pending.push(...(children.get(state) ?? []))
  }

  const reached = new Set(ordered)
  return {cyclic: [...parents.keys()].filter((state) => !reached.has(state)), ordered, orphaned}
}
