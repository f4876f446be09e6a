import type {Mac} from '../../src/kloset/mac.js'
import type {BlobReader} from '../../src/kloset/snapshot/index.js'
import type {GoldenName} from './hooks.js'

import {NotFoundError} from '../../src/errors.js'
import {blobTypeName} from '../../src/kloset/blob-type.js'
import {openEnvelope} from '../../src/kloset/envelope.js'
import {readAtOf, readBlob} from '../../src/kloset/packfile.js'
import {StateIndex} from '../../src/kloset/state.js'
import {type Unlocked, unlockedGolden} from './unlocked.js'

/** A golden store that can be read blob by blob, as small as a reader can be. */
export interface GoldenReader extends Unlocked {
  readonly index: StateIndex
  readonly read: BlobReader
}

export async function goldenReader(name: GoldenName): Promise<GoldenReader> {
  const store = await unlockedGolden(name)
  const index = new StateIndex()
  for (const [tag, bytes] of store.objects) {
    if (!tag.startsWith('state-')) continue
    store.hasher.reset()
    const {data, version} = openEnvelope(bytes, {hasher: store.hasher, resource: 'state', what: tag})
    const source = (async function* () {
      yield store.codec.decode(data)
    })()
    await index.addState(tag.slice(6) as Mac, source, version)
  }

  const read: BlobReader = async (type, mac) => {
    const location = index.locate(type, mac)
    if (!location) throw new NotFoundError(`no ${blobTypeName(type)} ${mac}`)
    const what = `packfiles-${location.packfile}`
    return readBlob(location, readAtOf(store.objects.get(what)!, what), {...store, what})
  }

  return {...store, index, read}
}
