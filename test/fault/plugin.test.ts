import {status} from '@grpc/grpc-js'
import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'

import {sealConfiguration} from '../../src/kloset/configuration.js'
import {digestOf} from '../../src/registry/digest.js'
import {type FakeOptions, FakeRegistry, PASSWORD, USER} from '../helpers/fake-registry.js'
import {ask, failureOf, get, put} from '../helpers/grpc-client.js'
import {scratchDir} from '../helpers/hooks.js'
import {testMac} from '../helpers/macs.js'
import {killPlugins, type PluginOptions, type PluginProcess, startPlugin} from '../helpers/plugin-process.js'
import {CONFIGURATION} from '../helpers/test-store.js'

const MIB = 1024 * 1024
const PACKFILE = 1
const STATE = 2
const UPLOAD = /\/blobs\/uploads\//

const mac = (number: number) => Buffer.from(testMac(number), 'hex')

describe('the plugin when things fail', () => {
  let fake: FakeRegistry
  let plugin: PluginProcess

  afterEach(async () => {
    killPlugins()
    await fake.stop()
    expect(fake.violations).to.deep.equal([])
  })

  async function start(options: FakeOptions = {}, process: PluginOptions = {}): Promise<void> {
    fake = await FakeRegistry.start(options)
    plugin = await startPlugin(process)
  }

  async function init(more: Record<string, string> = {}, host = fake.host): Promise<void> {
    await ask(plugin.client, 'Init', {config: {location: `oci://${host}/backups/main`, ...more}, proto: 'oci'})
  }

  async function created(more: Record<string, string> = {}): Promise<void> {
    await init(more)
    await ask(plugin.client, 'Create', {config: await sealConfiguration(CONFIGURATION)})
    fake.forget()
  }

  /** A packfile in pieces, as plakar sends it. */
  async function putPackfile(number: number, bytes: Buffer): Promise<number> {
    const pieces = Array.from({length: Math.ceil(bytes.length / MIB)}, (_, at) =>
      bytes.subarray(at * MIB, (at + 1) * MIB),
    )
    return put(plugin.client, {mac: mac(number), type: PACKFILE}, pieces)
  }

  const tags = () => [...(fake.repositories.get('backups/main')?.tags.keys() ?? [])].sort()

  const stored = (bytes: Buffer) => fake.repository('backups/main').blobs.get(digestOf(bytes))?.equals(bytes)

  it('says in one line that no registry is there, and ends with plakar', async () => {
    await start()
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const {port} = server.address() as {port: number}
    server.close()
    await once(server, 'close')
    await init({retries: '1'}, `127.0.0.1:${port}`)
    const {code, text} = await failureOf(ask(plugin.client, 'Open'))
    expect(code).to.equal(status.UNKNOWN)
    expect(text).to.match(/nothing listens on 127\.0\.0\.1:\d+ \(2 attempts\) - Check that a registry listens/)
    expect(text).not.to.contain('\n')
    expect(await plugin.close()).to.deep.equal({signal: null, status: 0, stderr: ''})
  })

  it('sends a packfile again when the registry goes away in the middle of it and comes back', async () => {
    await start()
    await created()
    const bytes = randomBytes(9 * MIB)
    fake.fail({dropRequestAfter: 3 * MIB, method: 'PUT', path: UPLOAD, times: 2})
    fake.fail({method: 'POST', path: UPLOAD, status: 503, times: 2})
    fake.fail({method: 'PUT', path: /manifests/, status: 502})
    expect(await putPackfile(1, bytes)).to.equal(bytes.length)
    expect(tags()).to.deep.equal(['CONFIG', `packfiles-${testMac(1)}`])
    expect(stored(bytes)).to.equal(true)
  })

  it('shows nothing of a packfile that could not be stored, and stores it the next time', async () => {
    await start()
    await created({retries: '0'})
    const bytes = randomBytes(5 * MIB)
    fake.fail({dropRequestAfter: MIB, method: 'PUT', path: UPLOAD, times: 9})
    const {text} = await failureOf(putPackfile(1, bytes))
    expect(text).to.match(/^PUT http:\/\/127\.0\.0\.1:\d+\/v2\/backups\/main\/blobs\/uploads\//)
    expect(text).not.to.contain('\n')
    expect(tags()).to.deep.equal(['CONFIG'])
    expect(fake.repository('backups/main').uploads.size).to.equal(0)
    fake.forget()
    await putPackfile(1, bytes)
    expect(stored(bytes)).to.equal(true)
    expect(tags()).to.have.length(2)
  })

  it('goes through a storm of 429', async () => {
    await start()
    await created()
    fake.fail({headers: {'retry-after': '1'}, path: /./, status: 429, times: 12})
    const objects = Array.from({length: 12}, () => randomBytes(1000))
    await Promise.all(objects.map(async (bytes, number) => putPackfile(number, bytes)))
    expect(tags()).to.have.length(13)
    for (const bytes of objects) expect(stored(bytes)).to.equal(true)
  })

  it('says how long a registry wants it to wait, when that is too long', async () => {
    await start()
    await created()
    fake.fail({headers: {'retry-after': '3600'}, path: /./, status: 429, times: 9})
    const {code, text} = await failureOf(putPackfile(1, randomBytes(100)))
    expect(code).to.equal(status.RESOURCE_EXHAUSTED)
    expect(text).to.match(/: 429 - Resume at \d{4}-\d\d-\d\dT[\d:.]+Z: the registry asks to wait until then$/)
    expect(tags()).to.deep.equal(['CONFIG'])
  })

  it('gets another token when the one it has ends during a long Put', async () => {
    await start({auth: 'bearer'})
    await created({password: PASSWORD, username: USER})
    const bytes = randomBytes(6 * MIB)
    fake.fail({before: () => fake.auth.revoke(), method: 'PUT', path: UPLOAD})
    fake.fail({before: () => fake.auth.revoke(), method: 'PUT', path: /manifests/})
    await putPackfile(1, bytes)
    expect(stored(bytes)).to.equal(true)
    expect(tags()).to.have.length(2)
  })

  for (const [how, end] of [
    ['the pipe closes', () => plugin.child.stdin!.end()],
    ['it is told to end', () => plugin.child.kill('SIGTERM')],
  ] as const) {
    it(`cancels the upload that is under way when ${how}`, async () => {
      await start()
      await created()
      fake.fail({hang: true, method: 'PUT', path: UPLOAD})
      const failed = failureOf(putPackfile(1, randomBytes(6 * MIB)))
      while (fake.count('PUT', UPLOAD) === 0) await delay(5)
      end()
      const {stderr} = await plugin.exit
      await failed
      expect(stderr).to.equal('')
      expect(fake.count('DELETE', UPLOAD)).to.equal(1)
      expect(fake.repository('backups/main').uploads.size).to.equal(0)
      expect(tags()).to.deep.equal(['CONFIG'])
    })
  }

  it('forgets a Put that plakar gives up half-way, before anything of it is sent', async () => {
    await start()
    await created()
    const call = plugin.client['Put']!(() => {})
    call.on('error', () => {})
    call.write({mac: mac(1), type: PACKFILE})
    for (let piece = 0; piece < 8; piece++) call.write({chunk: Buffer.alloc(MIB / 2)})
    await delay(50)
    call.cancel()
    expect(await ask(plugin.client, 'Ping')).to.deep.equal({})
    expect(fake.count(undefined, UPLOAD)).to.equal(0)
    expect(tags()).to.deep.equal(['CONFIG'])
    await putPackfile(1, randomBytes(100))
    expect(tags()).to.have.length(2)
  })

  it('ends the request behind a Get that plakar abandons, and answers others meanwhile', async () => {
    await start()
    await created({concurrency: '1'})
    const bytes = randomBytes(4 * MIB)
    await put(plugin.client, {mac: mac(1), type: STATE}, [bytes.subarray(0, MIB), bytes.subarray(MIB)])
    fake.fail({hang: MIB, method: 'GET', path: /blobs\/sha256/})
    const call = plugin.client['Get']!({mac: mac(1), type: STATE})
    call.on('error', () => {})
    await once(call, 'data')
    call.cancel()
    // The only connection is free again, or this would wait for ever.
    expect((await get(plugin.client, {mac: mac(1), type: STATE})).equals(bytes)).to.equal(true)
  })

  it('keeps stdout for the protocol, whoever prints', async () => {
    const noise = join(scratchDir('noise'), 'noise.cjs')
    writeFileSync(
      noise,
      "setInterval(() => { console.log('noise'); console.info('noise'); process.stdout.write('noise') }, 1)",
    )
    await start({}, {env: {NODE_OPTIONS: `--require ${noise}`}})
    await created()
    const bytes = randomBytes(2 * MIB)
    await putPackfile(1, bytes)
    await delay(20)
    expect((await get(plugin.client, {mac: mac(1), type: PACKFILE})).equals(bytes)).to.equal(true)
    const {status: code, stderr} = await plugin.close()
    expect(code).to.equal(0)
    expect(stderr).to.contain('noise')
  })

  it('goes on after the SIGINT of a terminal: plakar still has its lock to remove', async () => {
    await start()
    await created()
    plugin.child.kill('SIGINT')
    await putPackfile(1, randomBytes(100))
    expect(tags()).to.have.length(2)
    expect((await plugin.close()).status).to.equal(0)
  })
})
