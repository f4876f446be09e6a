import type {Mac} from '../kloset/mac.js'
import type {Finding} from './findings.js'

import {tagOf} from '../kloset/resource.js'
import {detailsOf} from './context.js'
import {finding} from './failures.js'

/**
 * The name that a state gives itself: each packfile that it makes known is noted with the state that does. States of
 * deletions alone make none known, and have no name but their tag.
 */
export class OwnName {
  #isMixed = false
  #name: Mac | undefined

  /** None when it says nothing of it, or several things. */
  get value(): Mac | undefined {
    return this.#isMixed ? undefined : this.#name
  }

  note(state: Mac): void {
    if (this.#name === undefined) this.#name = state
    else if (state !== this.#name) this.#isMixed = true
  }
}

/** States that lie under the tag of another one. */
export class StateNames {
  readonly #others = new Map<Mac, Mac>()

  /** @param isListed whether there is such a tag: a name that no tag has may be any writer's own way */
  findings(isListed: (tag: string) => boolean): Finding[] {
    return [...this.#others].flatMap(([mac, name]) => {
      const tag = tagOf('state', mac)
      const other = tagOf('state', name)
      if (!isListed(other)) return []
      const message = `${tag}: holds ${other}; who has read that one already will not see what this one should tell`
      const details = {...detailsOf({mac, resource: 'state', tag}), expected: mac, found: name}
      return [finding('name-mismatch', message, details)]
    })
  }

  /** @param name what the state under that MAC says that it is */
  note(mac: Mac, name?: Mac): void {
    if (name !== undefined && name !== mac) this.#others.set(mac, name)
  }
}
