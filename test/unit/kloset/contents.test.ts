import {expect} from 'chai'

import type {Mac} from '../../../src/kloset/mac.js'

import {BLOB_TYPES} from '../../../src/kloset/blob-type.js'
import {StoreContents} from '../../../src/kloset/contents.js'
import {openStore} from '../../../src/kloset/create.js'
import {PackfileWriter} from '../../../src/kloset/packfile-writer.js'
import {LocationEntry} from '../../../src/kloset/state.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {timestampFromMillis} from '../../../src/kloset/timestamp.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {flipBit} from '../../helpers/damage.js'
import {failureOf} from '../../helpers/failure.js'
import {goldenInMemory} from '../../helpers/golden.js'
import {GOLDEN} from '../../helpers/hooks.js'
import {testMac} from '../../helpers/macs.js'
import {emptyStore, knows, putState, sealed, stateOf} from '../../helpers/test-store.js'
import {unlockedGolden} from '../../helpers/unlocked.js'

const V1 = 0x01_00_00

describe('the contents of a store', function () {
  for (const name of GOLDEN) {
    it(`gives every blob of the golden store ${name}, checked`, async function () {
      const {secret} = await unlockedGolden(name)
      const contents = await StoreContents.open(new KlosetStore(await goldenInMemory(name)), {secret})
      expect(contents.unreadable).to.deep.equal([])
      let read = 0
      for (const {mac, packfile, type} of contents.index.allLocations()) {
        await contents.read(type, mac)
        expect([...(await contents.readIndex(packfile))].some((blob) => blob.mac === mac)).to.equal(true)
        read += 1
      }

      expect(read).to.be.greaterThan(50)
      expect([...contents.index.snapshots()].length).to.equal(2)
      contents.close()
    })
  }

  it('asks for the passphrase of an encrypted store', async function () {
    const store = new KlosetStore(await goldenInMemory('encrypted'))
    expect((await failureOf(StoreContents.open(store))).code).to.equal('UNAUTHORIZED')
  })

  it('leaves out a state that is damaged, and says so', async function () {
    const repository = await goldenInMemory('plaintext')
    const store = await openStore(repository)
    const states: Mac[] = []
    for await (const mac of store.list('state')) states.push(mac)
    const broken = states[0]!
    await repository.manifests.untag(`state-${broken}`)
    const whole = (await unlockedGolden('plaintext')).objects.get(`state-${broken}`)!
    await store.put('state', broken, bufferSource(flipBit(whole, 8 * 40)))
    const contents = await StoreContents.open(new KlosetStore(repository))
    expect(contents.unreadable.map(({mac}) => mac)).to.deep.equal([broken])
    expect([...contents.index.snapshots()].length).to.equal(1)
  })

  it('leaves out a state that is sound outside and not inside', async function () {
    const {store} = await emptyStore()
    await putState(store, 1, [knows(testMac(7))])
    const whole = (await stateOf([knows(testMac(8))], 2)).subarray(16, -32)
    await store.put('state', testMac(2), bufferSource(await sealed('state', whole.subarray(0, -5))))
    const contents = await StoreContents.open(store)
    expect(contents.unreadable.map(({error, mac}) => [mac, (error as {code: string}).code])).to.deep.equal([
      [testMac(2), 'STORE_FORMAT'],
    ])
    expect([...contents.index.packfiles()].map(({mac}) => mac)).to.deep.equal([testMac(7)])
  })

  it('reads a blob from where it is sound, and refuses one that lies', async function () {
    const {store} = await emptyStore()
    const contents = await StoreContents.open(store)
    const place = async (text: string, spoil: boolean) => {
      const writer = new PackfileWriter(contents)
      const blob = writer.add(BLOB_TYPES.chunk, Buffer.from(text))
      const {data, mac} = writer.finish(timestampFromMillis(0))
      const stored = await sealed('packfile', spoil ? flipBit(data, 8 * blob.offset) : data)
      await store.put('packfile', mac, bufferSource(stored))
      return {...blob, packfile: mac}
    }

    const broken = await place('a chunk', true)
    const lost = {...broken, packfile: testMac(4)}
    const large = {...broken, length: 2 ** 32 - 1, mac: testMac(6)}
    const beyond = {...broken, length: 1000, mac: testMac(5)}
    const locations = [broken, lost, large, beyond].map((one) => LocationEntry.of(one))
    await putState(store, 1, [knows(broken.packfile), knows(testMac(4)), ...locations])
    const before = await StoreContents.open(store)
    expect((await failureOf(before.read(BLOB_TYPES.chunk, broken.mac))).code).to.equal('INTEGRITY')
    expect((await failureOf(before.read(BLOB_TYPES.chunk, testMac(5)))).code).to.equal('STORE_FORMAT')
    expect((await failureOf(before.read(BLOB_TYPES.chunk, testMac(6)))).message).to.contain('4294967295')
    expect((await failureOf(before.read(BLOB_TYPES.chunk, testMac(9)))).code).to.equal('NOT_FOUND')

    const writer = new PackfileWriter(contents)
    writer.add(BLOB_TYPES.chunk, Buffer.from('another'))
    const blob = writer.add(BLOB_TYPES.chunk, Buffer.from('a chunk'))
    const {data, mac} = writer.finish(timestampFromMillis(0))
    await store.put('packfile', mac, bufferSource(await sealed('packfile', data)))
    await putState(store, 2, [LocationEntry.of({...blob, packfile: mac, version: V1})])
    const after = await StoreContents.open(store)
    expect(String(await after.read(BLOB_TYPES.chunk, broken.mac))).to.equal('a chunk')
  })

  it('stops when it is told to', async function () {
    const controller = new AbortController()
    const store = new KlosetStore(await goldenInMemory('plaintext'))
    const contents = await StoreContents.open(store, {signal: controller.signal})
    const [snapshot] = contents.index.snapshots()
    controller.abort()
    expect((await failureOf(contents.snapshot(snapshot!.mac))).code).to.equal('INTERRUPTED')
  })
})
