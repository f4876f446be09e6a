import {createCodec} from '../../src/kloset/codec/codec.js'
import {hashingOf, macKeyOf} from '../../src/kloset/configuration.js'
import {KNOWN_VERSIONS, sealEnvelope} from '../../src/kloset/envelope.js'
import {createHasher} from '../../src/kloset/hashing.js'
import {PackfileWriter} from '../../src/kloset/packfile-writer.js'
import {tagOf} from '../../src/kloset/resource.js'
import {KlosetStore} from '../../src/kloset/store.js'
import {timestampFromMillis} from '../../src/kloset/timestamp.js'
import {openRepository} from '../../src/registry/open.js'
import {bufferSource} from '../../src/util/content-source.js'
import {DAY} from './test-store.js'

const LONG_AGO = {now: () => Date.now() - 30 * DAY, async sleep() {}}

/** Puts a packfile that no state knows into a store, a month ago. @returns its tag */
export async function putOrphan(location: string, text: string): Promise<string> {
  const repository = await openRepository(location)
  try {
    const store = new KlosetStore(repository, {clock: LONG_AGO})
    const configuration = await store.configuration()
    const hasher = async () => createHasher(hashingOf(configuration), await macKeyOf(configuration))
    const writer = new PackfileWriter({codec: await createCodec(configuration), hasher: await hasher()})
    writer.add(2, Buffer.from(text))
    const {data, mac} = writer.finish(timestampFromMillis(LONG_AGO.now()))
    const bytes = sealEnvelope(data, {
      hasher: await hasher(),
      resource: 'packfile',
      version: KNOWN_VERSIONS.packfile[0]!,
    })
    await store.put('packfile', mac, bufferSource(bytes))
    return tagOf('packfile', mac)
  } finally {
    await repository.close()
  }
}
