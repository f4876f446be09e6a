import {expect} from 'chai'

import {KlosetStore} from '../../../src/kloset/store.js'
import {anonymousCredentials} from '../../../src/registry/auth/credentials.js'
import {openRepository} from '../../../src/registry/open.js'
import {collect} from '../../../src/util/collect.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {testMac} from '../../helpers/macs.js'

describe('requests of a store to a registry', () => {
  let fake: FakeRegistry

  before(async () => {
    fake = await FakeRegistry.start()
  })

  after(async () => fake.stop())

  it('are three for a put and one for a ranged get after the first', async () => {
    const repository = await openRepository(`oci://${fake.host}/org/store`, {credentials: anonymousCredentials})
    const store = new KlosetStore(repository)
    const made = async (call: () => Promise<unknown>) => {
      const before = fake.requests.length
      await call()
      return fake.requests.slice(before).map(({method}) => method)
    }

    const put = async (number: number) => {
      await store.put('packfile', testMac(number), bufferSource(Buffer.alloc(5000, number)), {overwrite: true})
    }

    const get = async (from: KlosetStore) => {
      const stream = await from.get('packfile', testMac(2), {range: {length: 10, offset: 100}})
      await collect(stream, {limit: 10, what: 'test'})
    }

    // The first one sends the shared config blob as well, and learns how the registry lets it in.
    await put(1)
    expect(await made(async () => put(2))).to.deep.equal(['POST', 'PUT', 'PUT'])
    const other = new KlosetStore(repository)
    expect(await made(async () => get(other))).to.deep.equal(['GET', 'GET'])
    expect(await made(async () => get(other))).to.deep.equal(['GET'])
    expect(await made(async () => get(store))).to.deep.equal(['GET'])
    await repository.close()
  })
})
