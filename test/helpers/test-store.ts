import type {Mac} from '../../src/kloset/mac.js'
import type {KlosetStore} from '../../src/kloset/store.js'

import {BLOB_TYPES} from '../../src/kloset/blob-type.js'
import {createCodec} from '../../src/kloset/codec/codec.js'
import {hashingOf, macKeyOf, newConfiguration, sealConfiguration} from '../../src/kloset/configuration.js'
import {createStore} from '../../src/kloset/create.js'
import {sealEnvelope} from '../../src/kloset/envelope.js'
import {createHasher} from '../../src/kloset/hashing.js'
import {encodeLock} from '../../src/kloset/lock.js'
import {PackfileWriter} from '../../src/kloset/packfile-writer.js'
import {type Resource, tagOf} from '../../src/kloset/resource.js'
import {encodeState, NIL_MAC, STATE_VERSION, type WritableEntry} from '../../src/kloset/state.js'
import {timestampFromMillis} from '../../src/kloset/timestamp.js'
import {makeVersion, type Version} from '../../src/kloset/version.js'
import {memoryRepository} from '../../src/registry/memory/repository.js'
import {bufferSource} from '../../src/util/content-source.js'
import {testMac} from './macs.js'

/** The moment at which test stores live. */
export const NOW = Date.UTC(2026, 0, 1)
export const MINUTE = 60_000
export const DAY = 24 * 60 * MINUTE

export const TEST_CLOCK = {now: () => NOW, async sleep() {}}

/** A plaintext store whose objects are stored as they are. */
export const CONFIGURATION = newConfiguration({compression: 'none', now: NOW, repositoryId: Buffer.alloc(16, 3)})

const V1 = makeVersion(1, 0, 0)

/** An object of the test store with a right MAC, whatever its data. */
export async function sealed(
  resource: Resource,
  data: Uint8Array,
  version: Version = resource === 'state' ? STATE_VERSION : V1,
): Promise<Buffer> {
  const hasher = await createHasher(hashingOf(CONFIGURATION), await macKeyOf(CONFIGURATION))
  return sealEnvelope(data, {hasher, resource, version})
}

export async function lockOf(minutesAgo: number, hostname = 'host-1'): Promise<Buffer> {
  const timestamp = timestampFromMillis(NOW - minutesAgo * MINUTE)
  return sealed('lock', encodeLock({exclusive: false, hostname, timestamp, version: V1}))
}

export interface TestPackfile {
  /** Minutes before `NOW` that it was written. */
  readonly minutesAgo?: number
  /** The snapshot that it ends. */
  readonly snapshot?: Mac
}

/** A packfile with one chunk, named by its content as kloset does it. */
export async function packfileOf(
  text: string,
  {minutesAgo = 60, snapshot}: TestPackfile = {},
): Promise<{readonly bytes: Buffer; readonly mac: Mac}> {
  const hasher = await createHasher(hashingOf(CONFIGURATION), await macKeyOf(CONFIGURATION))
  const writer = new PackfileWriter({codec: await createCodec(CONFIGURATION), hasher})
  writer.add(BLOB_TYPES.chunk, Buffer.from(text))
  if (snapshot) writer.add(BLOB_TYPES.snapshot, Buffer.from('a snapshot'), {name: snapshot})
  const {data, mac} = writer.finish(timestampFromMillis(NOW - minutesAgo * MINUTE))
  return {bytes: await sealed('packfile', data), mac}
}

export async function stateOf(entries: readonly WritableEntry[], serial = 1): Promise<Buffer> {
  const metadata = {serial: Buffer.alloc(16, serial), timestamp: timestampFromMillis(NOW)}
  return sealed('state', Buffer.concat([...encodeState({entries, metadata})]))
}

/** An entry by which a state knows a packfile. */
export function knows(packfile: Mac): WritableEntry {
  return {kind: 'packfile', packfile, state: testMac(0), timestamp: timestampFromMillis(NOW)}
}

/** An entry by which a state removes a packfile. */
export function removes(packfile: Mac): WritableEntry {
  return {entry: 'packfile', kind: 'delete', mac: NIL_MAC, packfile, type: 0}
}

/** An entry by which a state marks a packfile as deleted. */
export function colours(mac: Mac, when: number): WritableEntry {
  return {kind: 'coloured', mac, type: 4, when: timestampFromMillis(when)}
}

/** A store with its configuration alone. */
export async function emptyStore() {
  const repository = memoryRepository()
  return {repository, store: await createStore(repository, await sealConfiguration(CONFIGURATION))}
}

/** A store with `count` sound states and nothing else. */
export async function storeWithStates(count: number) {
  const made = await emptyStore()
  for (let number = 1; number <= count; number++) {
    await made.store.put('state', testMac(number), bufferSource(await stateOf([], number)))
  }

  return made
}

/**
 * A store with `count` packfiles and one state that knows them.
 * @param padding bytes by which each packfile is longer
 */
export async function storeWithPackfiles(count: number, {padding = 0}: {readonly padding?: number} = {}) {
  const made = await emptyStore()
  const packfiles = await Promise.all(
    Array.from({length: count}, async (_, index) => packfileOf(`packfile ${index}`.padEnd(padding, '.'))),
  )
  for (const {bytes, mac} of packfiles) await made.store.put('packfile', mac, bufferSource(bytes))
  const state = await stateOf(packfiles.map(({mac}) => knows(mac)))
  await made.store.put('state', testMac(1), bufferSource(state))
  return {...made, packfiles: packfiles.map(({mac}) => mac), state}
}

export async function putState(store: KlosetStore, number: number, entries: readonly WritableEntry[]): Promise<void> {
  await store.put('state', testMac(number), bufferSource(await stateOf(entries, number)))
}

export const stateTag = (number: number) => tagOf('state', testMac(number))
