/**
 * Scopes of the token specification: `repository:org/repo:pull,push`.
 * @see https://distribution.github.io/distribution/spec/auth/scope/
 */

/** Every resource once, with the actions of all given scopes, in a fixed order: what a token is asked and kept for. */
export function mergeScopes(...lists: ReadonlyArray<readonly string[]>): readonly string[] {
  const actions = new Map<string, Set<string>>()
  for (const scope of lists.flat()) {
    const colon = scope.lastIndexOf(':')
    const resource = colon === -1 ? scope : scope.slice(0, colon)
    const known = actions.get(resource) ?? new Set<string>()
    for (const action of colon === -1 ? [] : scope.slice(colon + 1).split(',')) if (action !== '') known.add(action)
    actions.set(resource, known)
  }

  return [...actions]
    .map(([resource, set]) => (set.size === 0 ? resource : `${resource}:${[...set].sort().join(',')}`))
    .sort()
}

/** The scopes of a challenge: separated by spaces. */
export function splitScopes(text = ''): readonly string[] {
  return text.split(/\s+/).filter((scope) => scope !== '')
}
