import type {RepairAction, RepairStep, TagState} from '../plan/types.js'
import type {ApplyContext} from './context.js'

import {KlosetOciError} from '../../errors.js'
import {BLOB_TYPES} from '../../kloset/blob-type.js'
import {StoreContents} from '../../kloset/contents.js'
import {HEADER_BYTES, KNOWN_VERSIONS, openEnvelope, sealEnvelope} from '../../kloset/envelope.js'
import {type Mac, macFromBytes} from '../../kloset/mac.js'
import {PackfileWriter} from '../../kloset/packfile-writer.js'
import {macOf, readAtOf, readPackfileIndex} from '../../kloset/packfile.js'
import {tagOf} from '../../kloset/resource.js'
import {NIL_MAC} from '../../kloset/state.js'
import {KlosetStore} from '../../kloset/store.js'
import {timestampFromMillis} from '../../kloset/timestamp.js'
import {blobsIn, salvage} from '../salvage.js'
import {buildState} from '../state-builder.js'
import {type StoreKeys} from '../store-keys.js'
import {createdOf} from './context.js'
import {needKeys, stagedBytes, writeStagedBytes} from './rebuild.js'
import {removeTag} from './remove-tag.js'

type Salvage = Extract<RepairAction, {readonly kind: 'salvage-packfile'}>

/**
 * Moves what can still be read of a damaged packfile into a new one, tells of that in a new state, and takes the damaged
 * one's tag away. Packfile first, state next, tag last: at no moment is a blob that can be read without a place.
 */
export async function salvagePackfile(step: RepairStep, action: Salvage, context: ApplyContext): Promise<TagState> {
  const {repository, sealed, signal} = context
  const keys = needKeys(context)
  const damaged = step.object.mac!
  const packfile = await stagedBytes(step, 'packfile', context, async () => {
    const {bytes, kept} = await readDamaged(step, action, keys, context)
    return newPackfile(bytes, kept, keys, createdOf(sealed))
  })
  const mac = await nameOf(packfile, keys)
  const packfileTag = tagOf('packfile', mac)
  await writeStagedBytes(step, {bytes: packfile, resource: 'packfile', tag: packfileTag}, context)
  const state = await stagedBytes(step, 'state', context, async () => {
    const contents = await StoreContents.open(new KlosetStore(repository), {secret: keys.secret, signal})
    const parent = contents.index.packfile(damaged)?.state
    const serial = contents.index.serial(keys.configuration.repositoryId)
    contents.close()
    return buildState({
      extra: [{entry: 'packfile', kind: 'delete', mac: NIL_MAC, packfile: damaged, type: BLOB_TYPES.packfile}],
      keys,
      mac: action.state,
      packfiles: [{index: await indexOf(packfile, keys), mac}],
      parent,
      serial,
      timestamp: timestampFromMillis(createdOf(sealed)),
    })
  })
  await writeStagedBytes(step, {bytes: state, resource: 'state', tag: tagOf('state', action.state)}, context)
  return removeTag(step, context)
}

async function readDamaged(step: RepairStep, {layer}: Salvage, keys: StoreKeys, {repository, signal}: ApplyContext) {
  const damaged = step.object.mac!
  const contents = await StoreContents.open(new KlosetStore(repository), {secret: keys.secret, signal})
  const known = blobsIn(new Set([damaged]), contents.index.allLocations()).get(damaged)!
  contents.close()
  const saved = await salvage(repository, layer, {keys, known, signal, what: step.tag})
  if (saved && saved.kept.length > 0) return saved
  throw new KlosetOciError('DAMAGE', `${step.tag}: nothing of it can be read any more`, {
    facts: {digest: layer, tag: step.tag},
    suggestions: ['Make a new plan: it has lost more since this one was made.'],
  })
}

/** The blobs as they are encoded, in a packfile of their own, in its envelope. */
async function newPackfile(
  bytes: Buffer,
  kept: Awaited<ReturnType<typeof readDamaged>>['kept'],
  {codec, contents}: StoreKeys,
  created: number,
): Promise<Buffer> {
  return contents.lend('packfile', async (sealing, naming) => {
    const writer = new PackfileWriter({codec: codec!, hasher: naming!})
    for (const {flags, length, mac, offset, type, version} of kept) {
      const start = HEADER_BYTES + offset
      writer.addEncoded({bytes: bytes.subarray(start, start + length), flags, mac, type, version})
    }

    const {data} = writer.finish(timestampFromMillis(created))
    sealing!.reset()
    return sealEnvelope(data, {hasher: sealing!, resource: 'packfile', version: KNOWN_VERSIONS.packfile[0]!})
  })
}

async function nameOf(bytes: Buffer, {contents}: StoreKeys): Promise<Mac> {
  return contents.lend('packfile', async (hasher) => {
    const {data} = openEnvelope(bytes, {resource: 'packfile', what: 'new packfile'})
    return macFromBytes(macOf(hasher!, data))
  })
}

async function indexOf(bytes: Buffer, {codec, contents}: StoreKeys) {
  const what = 'new packfile'
  return contents.lend('packfile', async (hasher) =>
    readPackfileIndex({codec: codec!, hasher: hasher!, readAt: readAtOf(bytes, what), size: bytes.length, what}),
  )
}
