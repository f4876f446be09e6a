import type {PackfileIndex} from '../kloset/packfile.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {RepairAction} from './plan/types.js'
import type {StoreKeys} from './store-keys.js'

import {sealEnvelope} from '../kloset/envelope.js'
import {type Mac} from '../kloset/mac.js'
import {
  encodeState,
  LocationEntry,
  STATE_VERSION,
  timestampFromNanos,
  timestampToNanos,
  type WritableEntry,
} from '../kloset/state.js'
import {type Timestamp, timestampFromMillis} from '../kloset/timestamp.js'
import {packfileIndexOf} from './packfile-access.js'

/** A packfile whose blobs a state is to tell of. */
export interface IndexedPackfile {
  readonly index: PackfileIndex
  readonly mac: Mac
}

export interface NewState {
  /** Entries beside those of the packfiles; what is taken back comes first. */
  readonly extra?: readonly WritableEntry[] | undefined
  readonly keys: StoreKeys
  readonly mac: Mac
  readonly packfiles: readonly IndexedPackfile[]
  readonly parent?: Mac | undefined
  readonly serial: Buffer
  /** Default: the youngest packfile's. */
  readonly timestamp?: Timestamp | undefined
}

/** Entries by which a state knows a packfile and all its blobs; kloset lists the padding too. */
export function* entriesOf(state: Mac, {index, mac: packfile}: IndexedPackfile): Generator<WritableEntry> {
  for (const {flags, length, mac, offset, type, version} of index) {
    yield LocationEntry.of({flags, length, mac, offset, packfile, type, version})
  }

  yield {kind: 'packfile', packfile, state, timestamp: index.footer.timestamp}
}

/** A state's bytes, in its envelope, as plakar takes them. */
export async function buildState({
  extra = [],
  keys,
  mac,
  packfiles,
  parent,
  serial,
  timestamp,
}: NewState): Promise<Buffer> {
  function* entries(): Generator<WritableEntry> {
    yield* extra
    for (const packfile of packfiles) yield* entriesOf(mac, packfile)
  }

  const metadata = {serial, timestamp: timestamp ?? youngest(packfiles)}
  const encoded = Buffer.concat([...encodeState({entries: entries(), metadata, parent})])
  const data = keys.codec!.encode(encoded)
  return keys.contents.lend('state', async (hasher) =>
    sealEnvelope(data, {hasher: hasher!, resource: 'state', version: STATE_VERSION}),
  )
}

interface Rebuilt extends CallOptions {
  readonly action: Extract<RepairAction, {readonly kind: 'rebuild-state'}>
  /** The state's time when no packfile tells one. */
  readonly created: number
  readonly keys: StoreKeys
  readonly mac: Mac
}

/**
 * A lost state, made of the indexes of packfiles.
 * @throws NotFoundError | StoreFormatError | IntegrityError when one of them cannot be read
 */
export async function rebuiltState(
  repository: Repository,
  {action, created, keys, mac, signal}: Rebuilt,
): Promise<Buffer> {
  const packfiles: IndexedPackfile[] = []
  for (const packfile of action.packfiles) {
    packfiles.push({index: await packfileIndexOf(repository, packfile, keys, {signal}), mac: packfile})
  }

  return buildState({
    extra: action.coloured.map(({mac: coloured, type, when}) => ({
      kind: 'coloured',
      mac: coloured,
      type,
      when: timestampFromNanos(BigInt(when)),
    })),
    keys,
    mac,
    packfiles,
    parent: action.parent,
    serial: Buffer.from(keys.configuration.repositoryId),
    ...(packfiles.length === 0 && {timestamp: timestampFromMillis(created)}),
  })
}

function youngest(packfiles: readonly IndexedPackfile[]): Timestamp {
  let latest: Timestamp = {nanoseconds: 0, seconds: 0}
  for (const {index} of packfiles) {
    const {timestamp} = index.footer
    if (timestampToNanos(timestamp) > timestampToNanos(latest)) latest = timestamp
  }

  return latest
}
