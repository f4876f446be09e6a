import type {Secret} from '../../kloset/codec/secret.js'
import type {ResourceName} from '../../kloset/resource.js'
import type {CheckContext} from '../context.js'
import type {Finding} from '../findings.js'
import type {TagTable} from '../tag-table.js'

import {NotFoundError} from '../../errors.js'
import {CONFIG_TAG} from '../../kloset/resource.js'
import {checkConfig, type ConfigResult} from '../config-check.js'
import {detailsOf} from '../context.js'
import {finding} from '../failures.js'
import {isGap} from '../findings.js'

const CONFIG = {resource: 'config', tag: CONFIG_TAG} as const

/** Looks at CONFIG, twice when something is wrong with it. */
export async function lookAtConfig(context: CheckContext, secret: Secret | undefined): Promise<ConfigResult> {
  const first = await checkConfig(context, {secret})
  return first.findings.some(({severity}) => severity === 'error') ? checkConfig(context, {secret}) : first
}

export interface ListedStore {
  readonly location: string
  readonly objects: Readonly<Record<'foreign' | ResourceName, number>>
  readonly tags: TagTable
}

/**
 * What the tag list and CONFIG say of each other.
 * @throws NotFoundError when there is neither a configuration nor an object of a store
 */
export function configFindings({findings}: ConfigResult, {location, objects, tags}: ListedStore): readonly Finding[] {
  const isListed = tags.hasTag(CONFIG_TAG)
  const isMissing = findings.some(({kind}) => kind === 'manifest-missing')
  if (!isMissing && !isListed && findings.every((found) => !isGap(found))) {
    const message = `${CONFIG_TAG}: is there and is not in the tag list`
    return [finding('list-incomplete', message, detailsOf(CONFIG)), ...findings]
  }

  if (!isMissing || isListed) return findings
  const {foreign, lock, packfile, state} = objects
  const count = lock + packfile + state
  if (count > 0) {
    const message = `${CONFIG_TAG}: is missing, beside ${count} objects of a store`
    return [finding('config-missing', message, {...detailsOf(CONFIG), count})]
  }

  throw new NotFoundError(`${location}: no store here`, {
    facts: {foreign, tag: CONFIG_TAG},
    suggestions: ['Check the reference, or make a store with `create`.'],
  })
}
