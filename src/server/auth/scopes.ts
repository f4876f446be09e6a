import type {Action, Principal} from './principal.js'

import {isRepositoryName} from '../../registry/reference.js'

/** Rights in one resource, as a token carries them. @see https://distribution.github.io/distribution/spec/auth/jwt/ */
export interface Grant {
  readonly actions: readonly string[]
  readonly name: string
  readonly type: string
}

const ACTIONS: readonly string[] = ['delete', 'pull', 'push']
const MAX_SCOPES = 100

/**
 * Reads the scopes of a token request and leaves of each what `holder` may do.
 * @param scopes values of `scope` parameters; one may hold several, separated by spaces
 */
export function grantsFor(holder: Principal, scopes: readonly string[]): Grant[] {
  const texts = scopes.flatMap((scope) => scope.split(/\s+/)).filter((scope) => scope !== '')
  const grants: Grant[] = []
  for (const text of texts.slice(0, MAX_SCOPES)) {
    const parts = /^([a-z]+)(?:\([^)]*\))?:(.+):([^:]+)$/.exec(text)
    if (!parts) continue
    const [, type = '', name = '', actions = ''] = parts
    const asked = actions.split(',')
    if (type === 'registry' && name === 'catalog' && holder.canList) grants.push({actions: ['*'], name, type})
    if (type !== 'repository' || !isRepositoryName(name)) continue
    const wanted = asked.includes('*') ? ACTIONS : ACTIONS.filter((action) => asked.includes(action))
    const allowed = wanted.filter((action) => holder.can(action as Action, name))
    if (allowed.length > 0) grants.push({actions: allowed, name, type})
  }

  return grants
}

/** What a token's grants allow. */
export function principalOf(grants: readonly Grant[]): Principal {
  return {
    can: (action, name) =>
      grants.some((grant) => grant.type === 'repository' && grant.name === name && grant.actions.includes(action)),
    canList: grants.some(({name, type}) => type === 'registry' && name === 'catalog'),
  }
}
