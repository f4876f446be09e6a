import type {CallOptions, Repository} from '../registry/interfaces.js'

import {meaningOf, type Resource} from '../kloset/resource.js'
import {MacSet} from './mac-set.js'

/** The tags of a repository, by what they name. */
export interface StoreListing {
  config: boolean
  /** Tags that belong to no store. */
  foreign: number
  readonly macs: Readonly<Record<Resource, MacSet>>
}

export function emptyListing(): StoreListing {
  return {config: false, foreign: 0, macs: {lock: new MacSet(), packfile: new MacSet(), state: new MacSet()}}
}

/**
 * Lists a repository once. The list is complete, or this throws.
 * @param onTag is told how many there are so far
 */
export async function listStore(
  repository: Repository,
  {onTag, signal}: CallOptions & {readonly onTag?: ((count: number) => void) | undefined} = {},
): Promise<StoreListing> {
  const listing = emptyListing()
  let count = 0
  for await (const tag of repository.tags({signal})) {
    const meaning = meaningOf(tag)
    if (meaning.kind === 'config') listing.config = true
    else if (meaning.kind === 'foreign') listing.foreign += 1
    else listing.macs[meaning.resource].add(meaning.mac)
    onTag?.(++count)
  }

  return listing
}

/** Objects under a MAC. */
export function objectCount({macs}: StoreListing): number {
  return macs.lock.size + macs.packfile.size + macs.state.size
}
