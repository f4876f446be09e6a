import {expect} from 'chai'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'

import {cleanEnv} from '../../helpers/cli.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {ask, failureOf, get, put} from '../../helpers/grpc-client.js'
import {testMac} from '../../helpers/macs.js'
import {pluginBundle} from '../../helpers/plugin-package.js'
import {killPlugins, spawnPlugin, startPlugin} from '../../helpers/plugin-process.js'

const MIB = 1024 * 1024
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])

describe("the plugin's process", () => {
  let fake: FakeRegistry
  let location: string

  beforeEach(async () => {
    fake = await FakeRegistry.start()
    location = `oci://${fake.host}/backups/main`
  })

  afterEach(async () => {
    killPlugins()
    await fake.stop()
  })

  it('says in one line what is wrong with what it is sent, and ends', async () => {
    for (const garbage of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', `${PREFACE}${'\u00FF'.repeat(40)}`]) {
      const {child, exit} = await spawnPlugin()
      child.stdin!.write(garbage)
      const {status, stderr} = await exit
      expect(status).to.equal(1)
      expect(stderr).to.match(/^kloset-oci plugin: the connection to plakar broke: .+\n$/)
    }
  })

  it('ends with the pipe, whenever it is closed', async () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from(PREFACE.slice(0, 10)),
      Buffer.concat([Buffer.from(PREFACE), SETTINGS]),
    ]) {
      const {child, exit} = await spawnPlugin()
      child.stdin!.end(bytes)
      expect(await exit).to.include({status: 0, stderr: ''})
    }
  })

  it('ends when nobody reads its answers any more', async () => {
    const {child, exit} = await spawnPlugin()
    child.stdout!.destroy()
    child.stdin!.write(Buffer.concat([Buffer.from(PREFACE), SETTINGS]))
    expect((await exit).stderr).to.equal('')
  })

  it('ends in the middle of a Get and of a Put, and leaves no tag of what was not whole', async () => {
    const plugin = await startPlugin()
    await ask(plugin.client, 'Init', {config: {location}, proto: 'oci'})
    const mac = Buffer.from(testMac(1), 'hex')
    await put(plugin.client, {mac, type: 1}, [Buffer.alloc(MIB), Buffer.alloc(MIB)])
    const reading = plugin.client['Get']!({mac, type: 1})
    reading.on('error', () => {})
    const writing = plugin.client['Put']!(() => {})
    writing.on('error', () => {})
    writing.write({mac: Buffer.from(testMac(2), 'hex'), type: 1})
    writing.write({chunk: Buffer.alloc(MIB)})
    await once(reading, 'data')
    plugin.child.stdin!.destroy()
    plugin.child.stdout!.destroy()
    expect((await plugin.exit).signal).to.equal(null)
    expect([...fake.repositories.get('backups/main')!.tags.keys()]).to.deep.equal([`packfiles-${testMac(1)}`])
  })

  it('ends when it is told to, and not by the Ctrl-C that is meant for plakar', async () => {
    const plugin = await startPlugin()
    await ask(plugin.client, 'Init', {config: {location}, proto: 'oci'})
    plugin.child.kill('SIGINT')
    await ask(plugin.client, 'Ping')
    plugin.child.kill('SIGTERM')
    expect((await plugin.exit).status).to.equal(143)
  })

  it('explains itself to somebody who starts it by hand', async () => {
    const child = spawn(process.execPath, [(await pluginBundle()).script], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [out, err]: [Buffer[], Buffer[]] = [[], []]
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    const [status] = (await once(child, 'close')) as [number]
    expect([status, Buffer.concat(out).toString()]).to.deep.equal([64, ''])
    expect(Buffer.concat(err).toString()).to.match(
      /^kloset-oci plugin: plakar starts this program .*kloset-oci plugin STORE\n$/,
    )
  })

  it('lists as many objects as one message holds, and refuses one more before plakar would', async function () {
    this.timeout(120_000)
    fake.options = {...fake.options, tagOrder: 'insertion'}
    const plugin = await startPlugin()
    await ask(plugin.client, 'Init', {config: {location}, proto: 'oci'})
    await put(plugin.client, {mac: Buffer.from(testMac(0), 'hex'), type: 2}, [Buffer.from('state')])
    const {tags} = fake.repositories.get('backups/main')!
    const digest = tags.get(`state-${testMac(0)}`)!
    const most = Math.floor((4 * MIB) / 34)
    for (let number = 1; number < most; number++) tags.set(`state-${testMac(number)}`, digest)
    const {macs} = await ask<{macs: Buffer[]}>(plugin.client, 'List', {type: 2})
    expect(macs).to.have.length(most)
    tags.set(`state-${testMac(most)}`, digest)
    const {text} = await failureOf(ask(plugin.client, 'List', {type: 2}))
    expect(text)
      .to.contain(`${most + 1} states`)
      .and.to.contain(`${most}`)
      .and.to.contain('4 MiB')
  })

  it('never answers a list that the registry cut short', async () => {
    const plugin = await startPlugin()
    await ask(plugin.client, 'Init', {config: {location, retries: '0'}, proto: 'oci'})
    await put(plugin.client, {mac: Buffer.from(testMac(0), 'hex'), type: 2}, [Buffer.from('state')])
    fake.fail({dropAfter: 10, path: /tags\/list/, times: 9})
    expect((await failureOf(ask(plugin.client, 'List', {type: 2}))).text).to.match(/tags\/list/)
  })

  it('is one file that loads nothing of the command line', async () => {
    const text = readFileSync((await pluginBundle()).script, 'utf8')
    expect(text).not.to.match(/@oclif\/core|require\("(?:ora|chalk|lz4-napi|@node-rs)/)
    expect(text.length).to.be.lessThan(1.5 * MIB)
  })

  it('serves a range of an object through the file that it is', async () => {
    const plugin = await startPlugin()
    await ask(plugin.client, 'Init', {config: {location}, proto: 'oci'})
    const mac = Buffer.from(testMac(3), 'hex')
    await put(plugin.client, {mac, type: 1}, [Buffer.from('0123456789')])
    expect((await get(plugin.client, {mac, range: {length: 3, offset: 4}, type: 1})).toString()).to.equal('456')
    expect((await plugin.close()).status).to.equal(0)
  })
})
