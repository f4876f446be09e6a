/* eslint-disable mocha/no-exports -- the suite itself: the backends' test files run it */
import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {Readable} from 'node:stream'

import type {Mac} from '../../src/kloset/mac.js'
import type {ContractSubject} from './subject.js'

import {hasCode} from '../../src/errors.js'
import {newConfiguration, sealConfiguration} from '../../src/kloset/configuration.js'
import {createStore, openStore} from '../../src/kloset/create.js'
import {type Resource, RESOURCES} from '../../src/kloset/resource.js'
import {KlosetStore, type ObjectRange} from '../../src/kloset/store.js'
import {digestOf} from '../../src/registry/digest.js'
import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {collect} from '../../src/util/collect.js'
import {bufferSource} from '../../src/util/content-source.js'
import {failureOf} from '../helpers/failure.js'
import {goldenObjects, loadGolden} from '../helpers/golden.js'
import {GOLDEN} from '../helpers/hooks.js'
import {testMac} from '../helpers/macs.js'

const LIMIT = 64 * 1024 * 1024

async function read(store: KlosetStore, resource: Resource, mac: Mac, range?: ObjectRange): Promise<Buffer> {
  return collect(await store.get(resource, mac, {range}), {limit: LIMIT, what: 'test'})
}

async function listed(store: KlosetStore, resource: Resource): Promise<Mac[]> {
  const macs: Mac[] = []
  for await (const mac of store.list(resource)) macs.push(mac)
  return macs.sort()
}

/** What a Kloset store does, whatever is behind it. `factory` makes a new, empty repository for each test. */
export function describeStoreContract(name: string, factory: () => Promise<ContractSubject>): void {
  describe(`store contract: ${name}`, () => {
    let subject: ContractSubject

    beforeEach(async () => {
      subject = await factory()
    })

    afterEach(async () => {
      await subject.repository.close()
      await subject.close?.()
    })

    const newStore = async () =>
      createStore(subject.repository, await sealConfiguration(newConfiguration({now: Date.now()})))

    describe('create and open', () => {
      it('gives back the configuration that it was created with', async () => {
        const configuration = newConfiguration({hashing: 'SHA256', now: 1_700_000_000_123})
        const bytes = await sealConfiguration(configuration)
        await createStore(subject.repository, bytes)
        const store = await openStore(subject.repository)
        expect((await store.getConfig()).equals(bytes)).to.equal(true)
        expect(await store.configuration()).to.deep.equal(configuration)
        await store.ping()
        expect(await store.mode()).to.deep.equal({read: true, write: true})
      })

      it('refuses to create over a store, and leaves it as it was', async () => {
        const first = await newStore()
        const error = await failureOf(newStore())
        expect(error.code).to.equal('ALREADY_EXISTS')
        const store = await openStore(subject.repository)
        expect((await store.getConfig()).equals(await first.getConfig())).to.equal(true)
      })

      it('refuses to create over objects whose configuration has gone', async () => {
        await new KlosetStore(subject.repository).put('packfile', testMac(1), bufferSource(Buffer.from('x')))
        const error = await failureOf(newStore())
        expect(error.code).to.equal('ALREADY_EXISTS')
        expect(error.facts['objects']).to.equal(1)
      })

      it('says that there is no store, or that only its configuration is missing', async () => {
        const nothing = await failureOf(openStore(subject.repository))
        expect([nothing.code, nothing.facts['objects']]).to.deep.equal(['NOT_FOUND', 0])
        expect(nothing.suggestions.join(' ')).to.match(/create/)
        await new KlosetStore(subject.repository).put('state', testMac(1), bufferSource(Buffer.from('x')))
        const lost = await failureOf(openStore(subject.repository))
        expect([lost.code, lost.facts['objects']]).to.deep.equal(['NOT_FOUND', 1])
        expect(lost.suggestions.join(' ')).to.match(/do not run `create`/)
      })
    })

    describe('put, get, list, stat, delete', () => {
      for (const resource of RESOURCES) {
        it(`keeps a ${resource}`, async () => {
          const store = await newStore()
          const bytes = randomBytes(300_000)
          const mac = testMac(7)
          expect(await store.put(resource, mac, bufferSource(bytes), {durable: true})).to.equal(bytes.length)
          expect((await read(store, resource, mac)).equals(bytes)).to.equal(true)
          expect(await listed(store, resource)).to.deep.equal([mac])
          for (const other of RESOURCES) if (other !== resource) expect(await listed(store, other)).to.deep.equal([])
          const stat = await store.stat(resource, mac)
          expect(stat).to.include({digest: digestOf(bytes), mac, resource, shape: 'own', size: bytes.length})
          await store.delete(resource, mac)
          expect(await listed(store, resource)).to.deep.equal([])
          for (const call of [read(store, resource, mac), store.stat(resource, mac), store.delete(resource, mac)]) {
            expect((await failureOf(call)).code).to.equal('NOT_FOUND')
          }
        })
      }

      it('is read by a second store over the same repository', async () => {
        const store = await newStore()
        await store.put('state', testMac(1), bufferSource(Buffer.from('one')))
        const other = await openStore(subject.repository)
        expect((await read(other, 'state', testMac(1))).toString()).to.equal('one')
      })

      it('keeps objects of equal content apart: one goes, the other stays', async () => {
        const store = await newStore()
        const bytes = Buffer.from('the same')
        for (const number of [1, 2]) await store.put('packfile', testMac(number), bufferSource(bytes))
        const [one, two] = [await store.stat('packfile', testMac(1)), await store.stat('packfile', testMac(2))]
        expect(one.digest).to.equal(two.digest)
        expect(one.manifestDigest).to.not.equal(two.manifestDigest)
        await store.delete('packfile', testMac(1))
        expect((await read(await openStore(subject.repository), 'packfile', testMac(2))).equals(bytes)).to.equal(true)
      })

      it('takes the same bytes again', async () => {
        const store = await newStore()
        for (let time = 0; time < 2; time++) await store.put('packfile', testMac(1), bufferSource(Buffer.from('a')))
        expect((await read(store, 'packfile', testMac(1))).toString()).to.equal('a')
      })

      it('refuses other bytes under the MAC of a packfile or a state, unless told to replace', async () => {
        const store = await newStore()
        for (const resource of ['packfile', 'state'] as const) {
          await store.put(resource, testMac(1), bufferSource(Buffer.from('old')))
          const error = await failureOf(store.put(resource, testMac(1), bufferSource(Buffer.from('new'))))
          expect(error.code).to.equal('ALREADY_EXISTS')
          expect((await read(store, resource, testMac(1))).toString()).to.equal('old')
          await store.put(resource, testMac(1), bufferSource(Buffer.from('new')), {overwrite: true})
          expect((await read(store, resource, testMac(1))).toString()).to.equal('new')
        }
      })

      it('reads the latest of a lock that another writer refreshes', async () => {
        const [holder, reader] = [await newStore(), await openStore(subject.repository)]
        await holder.put('lock', testMac(1), bufferSource(Buffer.from('first')))
        expect((await read(reader, 'lock', testMac(1))).toString()).to.equal('first')
        await holder.put('lock', testMac(1), bufferSource(Buffer.from('second')))
        expect((await read(reader, 'lock', testMac(1))).toString()).to.equal('second')
      })

      it('refuses a source that ends early or goes on too long, and shows nothing of it', async () => {
        const store = await newStore()
        for (const [size, actual] of [
          [10, 9],
          [10, 11],
        ] as const) {
          const source = {open: () => Readable.from([Buffer.alloc(actual)]), size}
          expect((await failureOf(store.put('packfile', testMac(1), source))).code).to.equal('INTEGRITY')
        }

        expect(await listed(store, 'packfile')).to.deep.equal([])
      })

      it('sums the size of what is stored, the configuration too', async () => {
        const store = await newStore()
        const config = await store.getConfig()
        for (const number of [1, 2, 3]) {
          await store.put('packfile', testMac(number), bufferSource(randomBytes(1000 * number)))
        }

        expect(await store.size()).to.equal(config.length + 6000)
      })
    })

    describe('ranges', () => {
      const bytes = randomBytes(100_000)

      it('gives exactly the bytes asked for', async () => {
        const store = await newStore()
        await store.put('packfile', testMac(1), bufferSource(bytes))
        for (const [offset, length] of [
          [0, 1],
          [0, 100_000],
          [99_999, 1],
          [12_345, 54_321],
        ] as const) {
          const part = await read(store, 'packfile', testMac(1), {length, offset})
          expect(part.equals(bytes.subarray(offset, offset + length)), `${offset}+${length}`).to.equal(true)
        }
      })

      it('cuts a range at the end, and gives nothing for an empty one or one beyond', async () => {
        const store = await newStore()
        await store.put('packfile', testMac(1), bufferSource(bytes))
        const cut = await read(store, 'packfile', testMac(1), {length: 4_294_967_295, offset: 99_990})
        expect(cut.equals(bytes.subarray(99_990))).to.equal(true)
        for (const [offset, length] of [
          [0, 0],
          [100_000, 0],
          [100_000, 1],
          [2 ** 31 + 7, 10],
          [2 ** 40, 4_294_967_295],
        ] as const) {
          expect(await read(store, 'packfile', testMac(1), {length, offset}), `${offset}+${length}`).to.have.length(0)
        }
      })

      it('refuses what is no range, and any range of an object that is not there', async () => {
        const store = await newStore()
        await store.put('packfile', testMac(1), bufferSource(bytes))
        for (const [offset, length] of [
          [-1, 1],
          [0, -1],
          [0.5, 1],
          [2 ** 60, 1],
        ] as const) {
          const error = await failureOf(read(store, 'packfile', testMac(1), {length, offset}))
          expect(error.code, `${offset}+${length}`).to.equal('INVALID_ARGUMENT')
        }

        for (const length of [0, 1]) {
          const error = await failureOf(read(store, 'packfile', testMac(2), {length, offset: 0}))
          expect(error.code).to.equal('NOT_FOUND')
        }
      })
    })

    describe('prefixes', () => {
      it('finds the one object that a prefix fits, in either case', async () => {
        const store = await newStore()
        for (const number of [0x11_22_33_44, 0x11_22_55_66]) {
          await store.put('state', testMac(number), bufferSource(Buffer.from('x')))
        }

        expect(await store.resolveMac('state', '112233')).to.equal(testMac(0x11_22_33_44))
        expect(await store.resolveMac('state', '112255ABAB'.slice(0, 6).toUpperCase())).to.equal(testMac(0x11_22_55_66))
        expect(await store.resolveMac('state', testMac(9))).to.equal(testMac(9))
        const several = await failureOf(store.resolveMac('state', '1122'))
        expect([several.code, several.facts['count']]).to.deep.equal(['INVALID_ARGUMENT', 2])
        expect((await failureOf(store.resolveMac('state', '99'))).code).to.equal('NOT_FOUND')
        expect((await failureOf(store.resolveMac('packfile', '112233'))).code).to.equal('NOT_FOUND')
        for (const wrong of ['', 'xyz', `${testMac(1)}0`]) {
          expect((await failureOf(store.resolveMac('state', wrong))).code).to.equal('INVALID_ARGUMENT')
        }
      })
    })

    describe('interruption', () => {
      it('ends a call whose signal has aborted', async () => {
        const store = await newStore()
        await store.put('packfile', testMac(1), bufferSource(Buffer.from('x')))
        const fresh = await openStore(subject.repository)
        const signal = AbortSignal.abort()
        const walk = async () => {
          for await (const mac of fresh.list('packfile', {signal})) expect(mac)
        }

        for (const call of [
          fresh.get('packfile', testMac(1), {signal}),
          fresh.put('packfile', testMac(2), bufferSource(Buffer.from('y')), {signal}),
          fresh.size({signal}),
          walk(),
        ]) {
          const error = await failureOf(call)
          expect(hasCode(error, 'INTERRUPTED'), String(error)).to.equal(true)
        }

        expect(await listed(store, 'packfile')).to.deep.equal([testMac(1)])
      })
    })

    describe('what others wrote', () => {
      it('reads a Docker manifest, and any size that the official writer guessed', async () => {
        const store = await newStore()
        const bytes = randomBytes(5000)
        const layer = {digest: digestOf(bytes), mediaType: MEDIA_TYPE.octetStream, size: bytes.length}
        await subject.repository.blobs.push(layer, bufferSource(bytes))
        const shapes = [
          {mediaType: MEDIA_TYPE.dockerManifest, size: bytes.length},
          {mediaType: MEDIA_TYPE.imageManifest, size: 0},
        ]
        for (const [number, {mediaType, size}] of shapes.entries()) {
          const config = {digest: digestOf(Buffer.from('{}')), mediaType: MEDIA_TYPE.imageConfig, size: 2}
          const manifest = {config, layers: [{...layer, size}], mediaType, schemaVersion: 2}
          const raw = {bytes: Buffer.from(JSON.stringify(manifest)), mediaType}
          await subject.repository.manifests.push(raw, {tag: `packfiles-${testMac(number)}`})
          expect((await read(store, 'packfile', testMac(number))).equals(bytes)).to.equal(true)
          const part = await read(store, 'packfile', testMac(number), {length: 10, offset: 4995})
          expect(part.equals(bytes.subarray(4995))).to.equal(true)
          expect(await read(store, 'packfile', testMac(number), {length: 10, offset: 5000})).to.have.length(0)
          expect(await store.stat('packfile', testMac(number))).to.include({shape: 'official', size: bytes.length})
        }

        expect(await (await openStore(subject.repository)).size()).to.equal(10_000 + (await store.getConfig()).length)
      })

      it('says that a tag which holds a container image is no object', async () => {
        const store = await newStore()
        const index = {manifests: [], mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2}
        const raw = {bytes: Buffer.from(JSON.stringify(index)), mediaType: MEDIA_TYPE.imageIndex}
        await subject.repository.manifests.push(raw, {tag: `packfiles-${testMac(1)}`})
        expect((await failureOf(read(store, 'packfile', testMac(1)))).code).to.equal('STORE_FORMAT')
      })

      for (const golden of GOLDEN) {
        it(`reads every object of the golden store ${golden}`, async () => {
          await loadGolden(golden, subject.repository)
          const store = await openStore(subject.repository)
          const objects = goldenObjects(golden)
          const seen: string[] = []
          for await (const entry of store.listAll()) {
            seen.push(entry.tag)
            if (entry.kind !== 'object') continue
            const expected = objects.find(({tag}) => tag === entry.tag)!
            expect((await read(store, entry.resource, entry.mac)).equals(expected.bytes)).to.equal(true)
          }

          expect(seen.sort()).to.deep.equal(objects.map(({tag}) => tag).sort())
          const total = objects.reduce((sum, {bytes}) => sum + bytes.length, 0)
          expect(await store.size()).to.equal(total)
        })
      }
    })
  })
}
