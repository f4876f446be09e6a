import {expect} from 'chai'

import {tagOf} from '../../../src/kloset/resource.js'
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

  describe('for a lock that is removed', () => {
    const PACKFILES = 30

    /** A store with packfiles and two locks, and what its registry holds. */
    async function locked(name: string) {
      const repository = await openRepository(`oci://${fake.host}/${name}`, {credentials: anonymousCredentials})
      const store = new KlosetStore(repository)
      for (let number = 1; number <= PACKFILES; number++) {
        await store.put('packfile', testMac(number), bufferSource(Buffer.alloc(100, number)))
      }

      for (const number of [101, 102]) await store.put('lock', testMac(number), bufferSource(Buffer.alloc(10, number)))
      return {fresh: new KlosetStore(repository), repository, stored: fake.repository(name)}
    }

    it('do not grow with the packfiles', async () => {
      const {repository, stored} = await locked('org/locked')
      // Another process: it knows of no tag.
      const other = await openRepository(repository.location, {credentials: anonymousCredentials})
      const before = fake.requests.length
      await new KlosetStore(other).delete('lock', testMac(101))
      const made = fake.requests.slice(before).map(({method, path}) => `${method} ${path.split('/')[4]!}`)
      expect(made).to.deep.equal([
        'HEAD manifests',
        'GET manifests',
        'GET tags',
        'HEAD manifests',
        'DELETE manifests',
        'HEAD manifests',
        'DELETE manifests',
      ])
      expect(stored.tags.has(tagOf('lock', testMac(101)))).to.equal(false)
      expect(stored.tags.size).to.equal(PACKFILES + 1)
      await other.close()
      await repository.close()
    })

    it('leave alone what a lock tag leads to by mistake', async () => {
      const {fresh, repository, stored} = await locked('org/swapped')
      const packfile = stored.tags.get(tagOf('packfile', testMac(7)))!
      stored.tags.set(tagOf('lock', testMac(101)), packfile)
      await fresh.delete('lock', testMac(101))
      expect(stored.tags.has(tagOf('lock', testMac(101)))).to.equal(false)
      expect(stored.tags.get(tagOf('packfile', testMac(7)))).to.equal(packfile)
      expect(stored.manifests.has(packfile)).to.equal(true)
      await repository.close()
    })

    it('leave alone a lock that somebody has given another tag', async () => {
      const {fresh, repository, stored} = await locked('org/kept')
      const lock = stored.tags.get(tagOf('lock', testMac(101)))!
      stored.tags.set('kept-for-a-look', lock)
      await fresh.delete('lock', testMac(101))
      expect(stored.tags.has(tagOf('lock', testMac(101)))).to.equal(false)
      expect(stored.tags.get('kept-for-a-look')).to.equal(lock)
      expect(stored.manifests.has(lock)).to.equal(true)
      await repository.close()
    })
  })
})
