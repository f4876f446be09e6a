import type {Mac} from '../../kloset/mac.js'
import type {CallOptions, Repository} from '../../registry/interfaces.js'
import type {PlanBook} from './book.js'

import {type LockLook, type LockReader} from '../../checker/lock-look.js'
import {tagOf} from '../../kloset/resource.js'

export interface SecondLook {
  /** Whether the plan relies on the very lock that was looked at. */
  readonly isRelied: boolean
  /** None when there is no lock any more. */
  readonly look: LockLook | undefined
}

/**
 * Looks at a lock once more when the plan relies on what its tag leads to: one that was renewed since it was found stale
 * has a holder, and one that is renewed later is another than the plan relies on.
 */
export async function lookAgain(
  mac: Mac,
  {
    book,
    reader,
    repository,
    signal,
  }: CallOptions & {readonly book: PlanBook; readonly reader: LockReader; readonly repository: Repository},
): Promise<SecondLook> {
  const tag = tagOf('lock', mac)
  await book.rely(repository, tag, signal)
  const look = await reader.look(mac, {signal})
  return {isRelied: book.reliedOn(tag) === (look ? look.manifest : 'absent'), look}
}
