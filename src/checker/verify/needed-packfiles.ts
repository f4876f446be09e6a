import type {StoreContents} from '../../kloset/contents.js'
import type {Mac} from '../../kloset/mac.js'

import {InvalidArgumentError, NotFoundError} from '../../errors.js'
import {isObjectFault} from '../../kloset/faults.js'
import {type BrokenReference, snapshotReferences} from '../../kloset/snapshot/index.js'
import {throwIfAborted} from '../../util/abort.js'

/**
 * Packfiles that snapshots need. What cannot be read is passed over: the packfile that should have it is among them.
 * @param prefixes of their identifiers
 * @throws NotFoundError when there is no such snapshot, InvalidArgumentError when there are several
 */
export async function packfilesOfSnapshots(
  contents: StoreContents,
  prefixes: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<Mac>> {
  const known = [...contents.index.snapshots()].map(({mac}) => mac)
  const needed = new Set<Mac>()
  for (const prefix of prefixes) {
    const lower = prefix.toLowerCase()
    const found = known.filter((mac) => mac.startsWith(lower))
    if (found.length === 0) throw new NotFoundError(`no snapshot begins with ${lower.slice(0, 80)}`)
    if (found.length > 1) {
      throw new InvalidArgumentError(`${found.length} snapshots begin with ${lower}`, {
        suggestions: found.slice(0, 5).map((mac) => `Did you mean ${mac}?`),
      })
    }

    await addPackfiles(contents, found[0]!, needed, signal)
  }

  return needed
}

async function addPackfiles(
  contents: StoreContents,
  snapshot: Mac,
  needed: Set<Mac>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const note = (type: number, mac: Mac) => {
    const packfile = contents.index.locate(type, mac)?.packfile
    if (packfile) needed.add(packfile)
  }

  const onBroken = ({error, mac, type}: BrokenReference) => {
    if (!isObjectFault(error)) throw error
    note(type, mac)
  }

  for (const location of contents.index.snapshots()) if (location.mac === snapshot) needed.add(location.packfile)
  try {
    for await (const {mac, type} of snapshotReferences(await contents.snapshot(snapshot), {onBroken})) {
      throwIfAborted(signal)
      note(type, mac)
    }
  } catch (error) {
    if (!isObjectFault(error)) throw error
  }
}
