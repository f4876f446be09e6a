import type {Secret} from '../../kloset/codec/secret.js'
import type {CheckContext} from '../context.js'
import type {Finding} from '../findings.js'

import {checkConfig, type ConfigResult} from '../config-check.js'
import {judgeListedConfig, type ListedStore} from '../config-list.js'

/** Looks at CONFIG, twice when something is wrong with it. */
export async function lookAtConfig(context: CheckContext, secret: Secret | undefined): Promise<ConfigResult> {
  const first = await checkConfig(context, {secret})
  return first.findings.some(({severity}) => severity === 'error') ? checkConfig(context, {secret}) : first
}

/**
 * What the tag list and CONFIG say of each other.
 * @throws NotFoundError when there is neither a configuration nor an object of a store
 */
export function configFindings({findings}: ConfigResult, store: ListedStore): readonly Finding[] {
  const found = judgeListedConfig({findings}, store)
  if (!found) return findings
  // That it is missing says all there is to say.
  return found.kind === 'config-missing' ? [found] : [found, ...findings]
}
