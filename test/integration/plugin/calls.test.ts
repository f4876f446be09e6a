import {status} from '@grpc/grpc-js'
import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {setTimeout as delay} from 'node:timers/promises'

import {sealConfiguration} from '../../../src/kloset/configuration.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {ask, failureOf, get, put} from '../../helpers/grpc-client.js'
import {testMac} from '../../helpers/macs.js'
import {killPlugins, type PluginProcess, startPlugin} from '../../helpers/plugin-process.js'
import {CONFIGURATION, lockOf} from '../../helpers/test-store.js'

const PACKFILE = 1
const STATE = 2
const LOCK = 3

describe('the plugin as plakar runs it', () => {
  let config: Buffer
  let fake: FakeRegistry
  let location: string
  let plugin: PluginProcess

  before(async () => {
    config = await sealConfiguration(CONFIGURATION)
  })

  beforeEach(async () => {
    fake = await FakeRegistry.start()
    location = `oci://${fake.host}/backups/main`
    plugin = await startPlugin()
  })

  afterEach(async () => {
    killPlugins()
    await fake.stop()
    expect(fake.violations).to.deep.equal([])
  })

  const init = async (...more: [string, string][]) =>
    ask(plugin.client, 'Init', {config: {location, ...Object.fromEntries(more)}, proto: 'oci'})

  const created = async () => {
    await init()
    await ask(plugin.client, 'Create', {config})
  }

  const mac = (number: number) => Buffer.from(testMac(number), 'hex')

  const macs = async (type: number) => {
    const {macs: listed} = await ask<{macs: Buffer[]}>(plugin.client, 'List', {type})
    return listed.map((bytes) => bytes.toString('hex')).sort()
  }

  it('answers every call', async () => {
    expect(await init()).to.deep.equal({flags: 0, origin: `${fake.host}/backups/main`, root: location, type: 'oci'})
    expect(await ask(plugin.client, 'Ping')).to.deep.equal({})
    expect(await ask(plugin.client, 'Create', {config})).to.deep.equal({})
    expect((await ask<{config: Buffer}>(plugin.client, 'Open')).config.equals(config)).to.equal(true)
    expect(await ask(plugin.client, 'Mode')).to.deep.equal({mode: 6})

    const object = randomBytes(3 * 1024 * 1024 + 5)
    const parts = [
      object.subarray(0, 1024 * 1024),
      object.subarray(1024 * 1024, 2 * 1024 * 1024),
      object.subarray(2 * 1024 * 1024),
    ]
    expect(await put(plugin.client, {mac: mac(1), type: PACKFILE}, parts)).to.equal(object.length)
    expect(await put(plugin.client, {mac: mac(2), type: STATE}, [Buffer.from('state')])).to.equal(5)
    expect(await macs(PACKFILE)).to.deep.equal([testMac(1)])
    expect(await macs(STATE)).to.deep.equal([testMac(2)])
    expect((await get(plugin.client, {mac: mac(1), type: PACKFILE})).equals(object)).to.equal(true)
    const range = {length: 1000, offset: 2 * 1024 * 1024 - 500}
    const part = await get(plugin.client, {mac: mac(1), range, type: PACKFILE})
    expect(part.equals(object.subarray(range.offset, range.offset + range.length))).to.equal(true)
    expect(Number((await ask<{size: number}>(plugin.client, 'Size')).size)).to.be.at.least(object.length + 5)

    expect(await ask(plugin.client, 'Delete', {mac: mac(1), type: PACKFILE})).to.deep.equal({})
    expect(await macs(PACKFILE)).to.deep.equal([])
    expect(await macs(STATE)).to.deep.equal([testMac(2)])
    expect((await failureOf(get(plugin.client, {mac: mac(1), type: PACKFILE}))).code).to.equal(status.NOT_FOUND)

    expect(await ask(plugin.client, 'Close')).to.deep.equal({})
    expect(await plugin.close()).to.deep.equal({signal: null, status: 0, stderr: ''})
  })

  it('deletes what is not there without a word', async () => {
    await created()
    expect(await ask(plugin.client, 'Delete', {mac: mac(7), type: PACKFILE})).to.deep.equal({})
  })

  it('refuses to make a store over another', async () => {
    await created()
    const failure = await failureOf(ask(plugin.client, 'Create', {config}))
    expect(failure.code).to.equal(status.ALREADY_EXISTS)
    expect(failure.text)
      .to.contain(location)
      .and.to.match(/there is a store already/)
  })

  it('says that there is no store', async () => {
    await init()
    const failure = await failureOf(ask(plugin.client, 'Open'))
    expect(failure.code).to.equal(status.NOT_FOUND)
    expect(failure.text).to.match(/no store/i)
  })

  it('takes no call before Init and after Close, but for the removal of a lock', async () => {
    for (const method of ['Open', 'Ping', 'Mode', 'Size']) {
      const {code, text} = await failureOf(ask(plugin.client, method))
      expect(code, method).to.equal(status.FAILED_PRECONDITION)
      expect(text, method).to.match(/not open/)
    }

    expect((await failureOf(ask(plugin.client, 'List', {type: STATE}))).text).to.match(/not open/)
    expect((await failureOf(get(plugin.client, {mac: mac(1), type: STATE}))).text).to.match(/not open/)
    expect((await failureOf(put(plugin.client, {mac: mac(1), type: STATE}, []))).text).to.match(/not open/)
    expect((await failureOf(ask(plugin.client, 'Delete', {mac: mac(1), type: LOCK}))).text).to.match(/not open/)

    await created()
    await put(plugin.client, {mac: mac(1), type: LOCK}, [await lockOf(1)])
    await ask(plugin.client, 'Close')
    expect((await failureOf(ask(plugin.client, 'Ping'))).text).to.match(/not open/)
    await ask(plugin.client, 'Delete', {mac: mac(1), type: LOCK})
    expect(tagsOf(fake)).to.deep.equal(['CONFIG'])
  })

  it('finishes the removal of a lock for a plakar that closes the store and leaves', async () => {
    await created()
    await put(plugin.client, {mac: mac(1), type: LOCK}, [await lockOf(1)])
    expect(tagsOf(fake)).to.have.length(2)
    fake.forget()
    const removed = ask(plugin.client, 'Delete', {mac: mac(1), type: LOCK}).catch(() => {})
    while (fake.requests.length === 0) await delay(5)
    const closed = ask(plugin.client, 'Close').catch(() => {})
    expect((await plugin.close()).status).to.equal(0)
    expect(tagsOf(fake)).to.deep.equal(['CONFIG'])
    await Promise.all([removed, closed])
  })

  it('waits with the answer to Close for the lock that is about to be removed', async () => {
    await created()
    await put(plugin.client, {mac: mac(1), type: LOCK}, [await lockOf(1)])
    const order: string[] = []
    const closed = ask(plugin.client, 'Close').then(() => order.push('closed'))
    const removed = ask(plugin.client, 'Delete', {mac: mac(1), type: LOCK}).then(() => order.push('removed'))
    await Promise.all([closed, removed])
    expect(order).to.deep.equal(['removed', 'closed'])
  })

  it('opens another store at a second Init, and keeps the first when that one fails', async () => {
    await created()
    await put(plugin.client, {mac: mac(1), type: STATE}, [Buffer.from('state')])
    const failure = await failureOf(ask(plugin.client, 'Init', {config: {location: 'oci://'}, proto: 'oci'}))
    expect(failure.code).to.equal(status.INVALID_ARGUMENT)
    expect(await macs(STATE)).to.deep.equal([testMac(1)])
    await ask(plugin.client, 'Init', {config: {location: `oci://${fake.host}/other/store`}, proto: 'oci'})
    expect((await failureOf(ask(plugin.client, 'Open'))).code).to.equal(status.NOT_FOUND)
  })

  it('answers the types of error-correcting data, and unknown ones, with a clear refusal', async () => {
    await created()
    for (const type of [4, 5]) {
      for (const work of [
        async () => ask(plugin.client, 'List', {type}),
        async () => ask(plugin.client, 'Delete', {mac: mac(1), type}),
        async () => get(plugin.client, {mac: mac(1), type}),
        async () => put(plugin.client, {mac: mac(1), type}, [Buffer.alloc(10)]),
      ]) {
        const {code, text} = await failureOf(work())
        expect(code).to.equal(status.UNIMPLEMENTED)
        expect(text).to.match(/not supported/)
      }
    }

    const {code, text} = await failureOf(ask(plugin.client, 'List', {type: 9}))
    expect(code).to.equal(status.INVALID_ARGUMENT)
    expect(text).to.match(/type 9/)
    expect((await failureOf(get(plugin.client, {mac: Buffer.alloc(5), type: STATE}))).text).to.match(/MAC of 5 bytes/)
  })

  it('tells plakar why a large object was refused, not that the pipe broke', async () => {
    await created()
    const chunks = Array.from({length: 40}, () => Buffer.alloc(1024 * 1024))
    const {code, text} = await failureOf(put(plugin.client, {mac: mac(1), type: 4}, chunks))
    expect(code).to.equal(status.UNIMPLEMENTED)
    expect(text).to.match(/not supported/)
  })

  it('drops a lock that vanishes while the list is made, and still reads one that vanishes after it', async () => {
    await created()
    const lock = await lockOf(1)
    for (const number of [1, 2]) await put(plugin.client, {mac: mac(number), type: LOCK}, [lock])
    fake.fail({path: new RegExp(`manifests/locks-${testMac(1)}`), status: 404, times: 9})
    expect(await macs(LOCK)).to.deep.equal([testMac(2)])
    fake.repositories.get('backups/main')!.tags.delete(`locks-${testMac(2)}`)
    expect((await get(plugin.client, {mac: mac(2), type: LOCK})).equals(lock)).to.equal(true)
    expect((await failureOf(get(plugin.client, {mac: mac(2), type: LOCK}))).code).to.equal(status.NOT_FOUND)
  })

  it('answers a method that is not of the service', async () => {
    const call = plugin.client.makeUnaryRequest(
      '/store.Store/Destroy',
      () => Buffer.alloc(0),
      (bytes) => bytes,
      {},
      () => {},
    )
    const failure = await new Promise<{code: number; details: string}>((resolve) => {
      call.on('status', resolve)
    })
    expect(failure.code).to.equal(status.UNIMPLEMENTED)
    expect(failure.details).to.contain('/store.Store/Destroy')
  })

  it('says what a credential may not do', async () => {
    await init(['read_only', 'true'])
    expect(await ask(plugin.client, 'Mode')).to.deep.equal({mode: 4})
    expect(tagsOf(fake)).to.deep.equal([])
    const failure = await failureOf(put(plugin.client, {mac: mac(1), type: STATE}, [Buffer.from('x')]))
    expect(failure.text).to.match(/read-only/i)
  })
})

function tagsOf(fake: FakeRegistry): string[] {
  return [...(fake.repositories.get('backups/main')?.tags.keys() ?? [])].sort()
}
