import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {readdirSync, statSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {sealConfiguration} from '../../../src/kloset/configuration.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {ask, failureOf, get, put} from '../../helpers/grpc-client.js'
import {scratchDir} from '../../helpers/hooks.js'
import {testMac} from '../../helpers/macs.js'
import {killPlugins, type PluginProcess, startPlugin} from '../../helpers/plugin-process.js'
import {CONFIGURATION} from '../../helpers/test-store.js'

const STATE = 2
const BLOB = /blobs\/sha256/

describe("the plugin's cache of states on the disk", () => {
  const mac = Buffer.from(testMac(1), 'hex')
  const state = randomBytes(300_000)
  let dir: string
  let fake: FakeRegistry

  beforeEach(async () => {
    dir = join(scratchDir('cache'), 'states')
    fake = await FakeRegistry.start()
    const plugin = await opened()
    await ask(plugin.client, 'Create', {config: await sealConfiguration(CONFIGURATION)})
    await put(plugin.client, {mac, type: STATE}, [state])
    await plugin.close()
    fake.forget()
  })

  afterEach(async () => {
    killPlugins()
    await fake.stop()
    expect(fake.violations).to.deep.equal([])
  })

  async function opened(cacheDir?: string): Promise<PluginProcess> {
    const plugin = await startPlugin()
    const location = `oci://${fake.host}/backups/main`
    const config = Object.fromEntries([['location', location], ...(cacheDir ? [['cache_dir', cacheDir]] : [])])
    await ask(plugin.client, 'Init', {config, proto: 'oci'})
    return plugin
  }

  /** Reads the state in a process of its own. @returns how often the registry was asked for its bytes */
  async function read(cacheDir?: string): Promise<number> {
    const before = fake.count('GET', BLOB)
    const plugin = await opened(cacheDir)
    expect((await get(plugin.client, {mac, type: STATE})).equals(state)).to.equal(true)
    const range = await get(plugin.client, {mac, range: {length: 10, offset: 5}, type: STATE})
    expect(range.equals(state.subarray(5, 15))).to.equal(true)
    await plugin.close()
    return fake.count('GET', BLOB) - before - 1
  }

  it('saves the next process from reading a state again, and trusts no entry that is wrong', async () => {
    expect(await read(dir)).to.equal(1)
    expect(await read(dir)).to.equal(0)
    const [name] = readdirSync(dir)
    expect(statSync(join(dir, name!)).size).to.equal(state.length)
    writeFileSync(join(dir, name!), randomBytes(state.length))
    expect(await read(dir)).to.equal(1)
    expect(await read(dir)).to.equal(0)
    expect(await read()).to.equal(1)
  })

  it('answers for what the registry holds: a state that was deleted there is gone', async () => {
    await read(dir)
    fake.repository('backups/main').tags.delete(`state-${testMac(1)}`)
    const plugin = await opened(dir)
    expect((await failureOf(get(plugin.client, {mac, type: STATE}))).text).to.match(/not|no /)
  })

  it('says at once that a folder cannot be used', async () => {
    const file = join(scratchDir('cache'), 'file')
    writeFileSync(file, '')
    const {text} = await failureOf(opened(join(file, 'below')))
    expect(text).to.contain(join(file, 'below'))
  })
})
