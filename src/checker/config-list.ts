import type {ResourceName} from '../kloset/resource.js'
import type {ConfigResult} from './config-check.js'
import type {Finding} from './findings.js'

import {NotFoundError} from '../errors.js'
import {CONFIG_TAG} from '../kloset/resource.js'
import {detailsOf} from './context.js'
import {finding} from './failures.js'
import {isGap} from './findings.js'

const CONFIG = {resource: 'config', tag: CONFIG_TAG} as const

export interface ListedStore {
  /** Whether CONFIG was in the tag list. */
  readonly isListed: boolean
  readonly location: string
  readonly objects: Readonly<Record<'foreign' | ResourceName, number>>
}

/**
 * What the tag list says of CONFIG, beside what a look at it found.
 * @throws NotFoundError when there is neither a configuration nor an object of a store
 */
export function judgeListedConfig(
  {findings}: Pick<ConfigResult, 'findings'>,
  {isListed, location, objects}: ListedStore,
): Finding | undefined {
  if (isListed || findings.some((found) => isGap(found))) return undefined
  if (findings.every(({kind}) => kind !== 'manifest-missing')) {
    return finding('list-incomplete', `${CONFIG_TAG}: is there and is not in the tag list`, detailsOf(CONFIG))
  }

  const {foreign, lock, packfile, state} = objects
  const count = lock + packfile + state
  if (count > 0) {
    const message = `${CONFIG_TAG}: is missing, beside ${count} objects of a store`
    return finding('config-missing', message, {...detailsOf(CONFIG), count})
  }

  throw new NotFoundError(`${location}: no store here`, {
    facts: {foreign, tag: CONFIG_TAG},
    suggestions: ['Check the reference, or make a store with `create`.'],
  })
}
