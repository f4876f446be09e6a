import {expect} from 'chai'

import type {Repository} from '../../../src/registry/interfaces.js'

import {KlosetOciError, NotFoundError} from '../../../src/errors.js'
import {newConfiguration, sealConfiguration} from '../../../src/kloset/configuration.js'
import {createStore} from '../../../src/kloset/create.js'
import {CONFIG_DESCRIPTOR} from '../../../src/kloset/object-manifest.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {digestOf} from '../../../src/registry/digest.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {collect} from '../../../src/util/collect.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'
import {testMac} from '../../helpers/macs.js'
import {countCalls, type SpiedCall, spyRepository} from '../../helpers/spy-repository.js'

const content = (text: string) => bufferSource(Buffer.from(text))

/** What a registry answers when it refuses a manifest. */
function refusal(status: number, registryCode = 'MANIFEST_INVALID'): KlosetOciError {
  return new KlosetOciError(status === 404 ? 'NOT_FOUND' : 'REGISTRY', `PUT: ${status}`, {
    facts: {registryCode, status},
  })
}

async function artifactTypeOfTag(repository: Repository, tag: string): Promise<unknown> {
  const {bytes} = await repository.manifests.get(tag)
  return (JSON.parse(Buffer.from(bytes).toString()) as {artifactType?: unknown}).artifactType
}

async function text(store: KlosetStore, range?: {length: number; offset: number}): Promise<string> {
  const stream = await store.get('packfile', testMac(1), {range})
  return (await collect(stream, {limit: 1000, what: 'test'})).toString()
}

describe('KlosetStore', () => {
  describe('requests', () => {
    it('writes with one blob upload and one manifest, and the config blob once however many write at once', async () => {
      const {calls, repository} = spyRepository(memoryRepository())
      const store = new KlosetStore(repository)
      await Promise.all(
        [1, 2, 3, 4].map((number) => store.put('packfile', testMac(number), content(`${number}`), {overwrite: true})),
      )
      await new KlosetStore(repository).put('state', testMac(5), content('5'), {overwrite: true})
      expect(countCalls(calls, 'blobs.pushForced')).to.equal(5)
      expect(countCalls(calls, 'manifests.push')).to.equal(5)
      expect(calls.filter(({subject}) => subject === CONFIG_DESCRIPTOR.digest)).to.have.length(1)
      expect(calls).to.have.length(11)
    })

    it('asks for the blob before it is sent when told to', async () => {
      const {calls, repository} = spyRepository(memoryRepository())
      await new KlosetStore(repository).put('packfile', testMac(1), content('x'), {overwrite: true, probe: true})
      expect(countCalls(calls, 'blobs.pushForced')).to.equal(0)
    })

    it('asks for a manifest once, also for many readers at once, and not at all after its own write', async () => {
      const inner = memoryRepository()
      await new KlosetStore(inner).put('packfile', testMac(1), content('hello'))
      const {calls, repository} = spyRepository(inner)
      const store = new KlosetStore(repository)
      const ranges = Array.from({length: 20}, (_, index) => ({length: 1, offset: index % 5}))
      const parts = await Promise.all(ranges.map((range) => text(store, range)))
      expect(parts.join('')).to.equal('hello'.repeat(4))
      expect([countCalls(calls, 'manifests.get'), countCalls(calls, 'blobs.fetchRange')]).to.deep.equal([1, 20])
      await store.put('state', testMac(2), content('y'), {overwrite: true})
      await store.get('state', testMac(2))
      expect(countCalls(calls, 'manifests.get')).to.equal(1)
    })

    it('lets one reader go without ending the lookup of the others', async () => {
      const inner = memoryRepository()
      await new KlosetStore(inner).put('packfile', testMac(1), content('hello'))
      let release: (() => void) | undefined
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      const {repository} = spyRepository(inner, {
        before: async ({name}) => (name === 'manifests.get' ? held : undefined),
      })
      const store = new KlosetStore(repository)
      const controller = new AbortController()
      const first = failureOf(store.get('packfile', testMac(1), {signal: controller.signal}))
      const second = text(store)
      controller.abort()
      expect((await first).code).to.equal('INTERRUPTED')
      release!()
      expect(await second).to.equal('hello')
    })
  })

  describe('what changes underneath', () => {
    it('looks a tag up again, once, when the content it remembers has gone', async () => {
      const inner = memoryRepository()
      const {calls, repository} = spyRepository(inner)
      const store = new KlosetStore(repository)
      await store.put('packfile', testMac(1), content('old'))
      await new KlosetStore(inner).put('packfile', testMac(1), content('new'), {overwrite: true})
      await inner.blobs.delete(digestOf(Buffer.from('old')))
      expect(await text(store)).to.equal('new')
      expect(await text(store, {length: 1, offset: 0})).to.equal('n')
      // One before the write (is it there?), one after the miss.
      expect(countCalls(calls, 'manifests.get')).to.equal(2)
    })

    it('calls content that is missing under a live tag damage, and names it', async () => {
      const repository = memoryRepository()
      const store = new KlosetStore(repository)
      await store.put('packfile', testMac(1), content('gone'))
      await repository.blobs.delete(digestOf(Buffer.from('gone')))
      for (const range of [undefined, {length: 1, offset: 0}]) {
        const error = await failureOf(text(store, range))
        expect(error.code).to.equal('DAMAGE')
        expect(error.facts).to.include({
          digest: digestOf(Buffer.from('gone')),
          tag: `packfiles-${testMac(1)}`,
        })
      }
    })

    it('heals a blob that has gone when the same bytes are put again', async () => {
      const repository = memoryRepository()
      const store = new KlosetStore(repository)
      await store.put('packfile', testMac(1), content('gone'))
      await repository.blobs.delete(digestOf(Buffer.from('gone')))
      await store.put('packfile', testMac(1), content('gone'))
      expect(await text(store)).to.equal('gone')
    })

    it('counts nothing for an object that vanishes during the walk', async () => {
      const inner = memoryRepository()
      for (const number of [1, 2]) await new KlosetStore(inner).put('packfile', testMac(number), content('12345'))
      const {repository} = spyRepository(inner, {
        before({name, subject}) {
          if (name === 'manifests.get' && subject === `packfiles-${testMac(2)}`) throw new NotFoundError('gone')
        },
      })
      expect(await new KlosetStore(repository).size()).to.equal(5)
    })

    it('does not take a failing registry for an empty store', async () => {
      const inner = memoryRepository()
      await new KlosetStore(inner).put('packfile', testMac(1), content('12345'))
      const {repository} = spyRepository(inner, {
        before({name}) {
          if (name === 'manifests.get') throw new KlosetOciError('REGISTRY', '500', {facts: {status: 500}})
        },
      })
      expect((await failureOf(new KlosetStore(repository).size())).code).to.equal('REGISTRY')
      expect((await failureOf(text(new KlosetStore(repository)))).code).to.equal('REGISTRY')
    })
  })

  describe('refused manifests', () => {
    for (const status of [400, 415]) {
      it(`leaves the artifact type away where it is refused with ${status}, and remembers that`, async () => {
        const inner = memoryRepository()
        let pushes = 0
        const {repository} = spyRepository(inner)
        const {push} = repository.manifests
        repository.manifests.push = async (manifest, options) => {
          pushes += 1
          if (Buffer.from(manifest.bytes).includes('artifactType')) throw refusal(status)
          return push(manifest, options)
        }

        const store = new KlosetStore(repository)
        await store.put('packfile', testMac(1), content('x'), {overwrite: true})
        expect(pushes).to.equal(2)
        await new KlosetStore(repository).put('packfile', testMac(2), content('y'), {overwrite: true})
        expect(pushes).to.equal(3)
        expect(await artifactTypeOfTag(inner, `packfiles-${testMac(1)}`)).to.equal(undefined)
      })
    }

    it('sends blobs again that went between their upload and the manifest', async () => {
      const inner = memoryRepository()
      let collected = false
      const {repository} = spyRepository(inner, {
        async before({name}) {
          if (name !== 'manifests.push' || collected) return
          collected = true
          await inner.blobs.delete(CONFIG_DESCRIPTOR.digest)
          await inner.blobs.delete(digestOf(Buffer.from('x')))
          throw refusal(404, 'MANIFEST_BLOB_UNKNOWN')
        },
      })
      const store = new KlosetStore(repository)
      await store.put('packfile', testMac(1), content('x'), {overwrite: true})
      expect(await text(store)).to.equal('x')
      await inner.blobs.resolve(CONFIG_DESCRIPTOR.digest)
      // Nothing was wrong with the artifact type.
      expect(await artifactTypeOfTag(inner, `packfiles-${testMac(1)}`)).to.equal(
        'application/vnd.plakar.kloset.packfile.v1',
      )
    })

    it('passes on the first refusal when nothing helps, and does not blame the artifact type', async () => {
      const inner = memoryRepository()
      let refuse = true
      const seen: SpiedCall[] = []
      const {repository} = spyRepository(inner, {
        before(call, count) {
          if (call.name !== 'manifests.push' || !refuse) return
          seen.push(call)
          throw refusal(400, `TRY_${count}`)
        },
      })
      const store = new KlosetStore(repository)
      const error = await failureOf(store.put('packfile', testMac(1), content('x')))
      expect(error.facts['registryCode']).to.equal('TRY_1')
      expect(seen).to.have.length(2)
      refuse = false
      await store.put('packfile', testMac(1), content('x'))
      expect(await artifactTypeOfTag(inner, `packfiles-${testMac(1)}`)).to.not.equal(undefined)
    })

    it('does not insist when the right to write is missing', async () => {
      const {calls, repository} = spyRepository(memoryRepository(), {
        before({name}) {
          if (name === 'manifests.push') throw new KlosetOciError('FORBIDDEN', 'no', {facts: {status: 403}})
        },
      })
      const error = await failureOf(new KlosetStore(repository).put('packfile', testMac(1), content('x')))
      expect(error.code).to.equal('FORBIDDEN')
      expect(countCalls(calls, 'manifests.push')).to.equal(1)
    })

    it('tries the config blob again after a failed upload', async () => {
      let failures = 1
      const {repository} = spyRepository(memoryRepository(), {
        before({subject}) {
          if (subject === CONFIG_DESCRIPTOR.digest && failures-- > 0) {
            throw new KlosetOciError('UNREACHABLE', 'reset')
          }
        },
      })
      const store = new KlosetStore(repository)
      expect((await failureOf(store.put('packfile', testMac(1), content('x')))).code).to.equal('UNREACHABLE')
      await store.put('packfile', testMac(1), content('x'))
      expect(await text(store)).to.equal('x')
    })
  })

  describe('durable', () => {
    it('finds an upload that was acknowledged and not kept', async () => {
      for (const lose of ['blob', 'tag'] as const) {
        const inner = memoryRepository()
        const {repository} = spyRepository(inner, {
          async before({name}) {
            if (name === 'blobs.resolve' && lose === 'blob') await inner.blobs.delete(digestOf(Buffer.from('x')))
            if (name === 'manifests.resolve' && lose === 'tag') await inner.manifests.untag(`packfiles-${testMac(1)}`)
          },
        })
        const put = new KlosetStore(repository).put('packfile', testMac(1), content('x'), {durable: true})
        expect((await failureOf(put)).code, lose).to.equal('INTEGRITY')
      }
    })

    it('finds a tag that another writer took', async () => {
      const inner = memoryRepository()
      const {repository} = spyRepository(inner, {
        async before({name}) {
          if (name !== 'manifests.resolve') return
          await new KlosetStore(inner).put('packfile', testMac(1), content('theirs'), {overwrite: true})
        },
      })
      const put = new KlosetStore(repository).put('packfile', testMac(1), content('ours'), {durable: true})
      expect((await failureOf(put)).facts).to.have.keys('actual', 'expected', 'tag')
    })

    it('makes a creation that was overtaken say so', async () => {
      const [ours, theirs] = await Promise.all([1, 2].map((now) => sealConfiguration(newConfiguration({now}))))
      const inner = memoryRepository()
      const {repository} = spyRepository(inner, {
        async before({name, subject}, count) {
          if (name !== 'manifests.resolve' || subject !== 'CONFIG' || count !== 2) return
          await new KlosetStore(inner).putConfig(theirs!, {overwrite: true})
        },
      })
      expect((await failureOf(createStore(repository, ours!))).code).to.equal('ALREADY_EXISTS')
      expect((await new KlosetStore(inner).getConfig()).equals(theirs!)).to.equal(true)
    })
  })

  it('asks a backend that can tell what the credentials allow', async () => {
    const repository = Object.assign(memoryRepository(), {access: async () => ({read: true, write: false})})
    expect(await new KlosetStore(repository).mode()).to.deep.equal({read: true, write: false})
  })

  it('refuses a configuration that goes on and on', async () => {
    const repository = memoryRepository()
    await new KlosetStore(repository).putConfig(Buffer.alloc(1024 * 1024 + 1))
    expect((await failureOf(new KlosetStore(repository).getConfig())).code).to.equal('PROTOCOL')
  })
})
