import type {Secret} from '../kloset/codec/secret.js'
import type {CheckContext} from './context.js'
import type {Finding} from './findings.js'

import {messageOf} from '../errors.js'
import {BLOB_TYPES} from '../kloset/blob-type.js'
import {StoreContents} from '../kloset/contents.js'
import {isObjectFault} from '../kloset/faults.js'
import {tagOf} from '../kloset/resource.js'
import {KlosetStore} from '../kloset/store.js'
import {detailsOf} from './context.js'
import {finding} from './failures.js'
import {type Amount, measureBlobs, type PackfileUse} from './usage/blob-usage.js'

export interface BlobCheckContext extends CheckContext {
  readonly concurrency: number
  /** Told what could not be judged. */
  readonly onGap: (why: string) => void
  readonly onSnapshot: () => void
  readonly secret: Secret | undefined
}

/**
 * Holds what packfiles have against what snapshots need: blobs that no snapshot needs, blobs that are there twice, states
 * of deleted snapshots. Nothing of that is damage; it says what maintenance could win.
 */
export async function* checkBlobs(context: BlobCheckContext): AsyncGenerator<Finding> {
  const {concurrency, onGap, onSnapshot, repository, secret, signal} = context
  let contents: StoreContents
  try {
    contents = await StoreContents.open(new KlosetStore(repository, {concurrency}), {concurrency, secret, signal})
  } catch (error) {
    if (!isObjectFault(error)) throw error
    onGap(`what snapshots need: ${messageOf(error)}`)
    return
  }

  try {
    yield* deletedStates(contents)
    const {broken, duplicate, packfiles} = await measureBlobs(contents, {onSnapshot, signal})
    if (broken > 0) {
      onGap('blobs that no snapshot needs: a part of the states or snapshots could not be read')
      return
    }

    for (const packfile of packfiles) if (packfile.unreachable.count > 0) yield waste(packfile)
    if (duplicate.count > 0) {
      const message = `${duplicate.count} blobs (${duplicate.bytes} bytes) are in more than one packfile`
      yield finding('blob-duplicate', message, {count: duplicate.count, found: duplicate.bytes})
    }
  } finally {
    contents.close()
  }
}

function* deletedStates({index}: StoreContents): Generator<Finding> {
  for (const {mac} of index.coloured(BLOB_TYPES.snapshot)) {
    if (!index.states.has(mac)) continue
    const tag = tagOf('state', mac)
    const details = {...detailsOf({mac, resource: 'state', tag}), snapshots: [mac]}
    yield finding(
      'state-deleted',
      `${tag}: its snapshot is deleted; it stays until the store's states are rewritten`,
      details,
    )
  }
}

function waste({duplicate, mac, unreachable, used}: PackfileUse): Finding {
  const tag = tagOf('packfile', mac)
  const details = {
    ...detailsOf({mac, resource: 'packfile', tag}),
    count: unreachable.count,
    expected: bytesOf(used, duplicate, unreachable),
    found: unreachable.bytes,
    snapshots: undefined,
  }
  if (used.count === 0 && duplicate.count === 0) {
    const message = `${tag}: no snapshot needs any of its ${unreachable.count} blobs (${unreachable.bytes} bytes); the next maintenance marks it`
    return finding('packfile-unreachable', message, details)
  }

  const message = `${tag}: no snapshot needs ${unreachable.count} of its blobs (${unreachable.bytes} of ${details.expected} bytes)`
  return finding('blob-unreachable', message, details)
}

function bytesOf(...amounts: readonly Amount[]): number {
  return amounts.reduce((total, {bytes}) => total + bytes, 0)
}
