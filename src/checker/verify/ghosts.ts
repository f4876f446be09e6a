import type {Repository} from '../../registry/interfaces.js'
import type {Finding} from '../findings.js'

import {changed} from './changed.js'

/** Tags whose manifest was not there: removed since the list was read, perhaps. */
export class Ghosts {
  readonly #found: Finding[] = []

  add(found: Finding): void {
    this.#found.push(found)
  }

  /** The findings, held against the list once more. */
  async *judged(repository: Repository, signal: AbortSignal | undefined): AsyncGenerator<Finding> {
    if (this.#found.length === 0) return
    const listed = new Set<string>()
    const suspects = new Set(this.#found.map(({tag}) => tag))
    for await (const tag of repository.tags({signal})) if (suspects.has(tag)) listed.add(tag)
    for (const ghost of this.#found) {
      yield listed.has(ghost.tag!) ? ghost : changed(ghost, 'its tag was removed during the check')
    }
  }
}
