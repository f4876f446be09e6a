import {expect} from 'chai'
import {readFileSync} from 'node:fs'

import {optionNames} from '../../../src/plugin/config.js'
import {cli} from '../../helpers/cli.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {pluginBundle} from '../../helpers/plugin-package.js'
import {script} from '../../helpers/script.js'

interface SelfTest {
  readonly ok: boolean
  readonly stderr: string
  readonly steps: readonly {call: string; detail: string; status: number}[]
}

describe('plugin', () => {
  let fake: FakeRegistry
  let store: string

  before(async () => {
    await pluginBundle()
  })

  beforeEach(async () => {
    fake = await FakeRegistry.start()
    store = `oci://${fake.host}/backups/main`
  })

  afterEach(async () => {
    await fake.stop()
    expect(fake.violations).to.deep.equal([])
  })

  it('says what the plugin speaks, and every option that the page about it explains', async () => {
    const {json, status} = await cli(['plugin', '--json'])
    expect(status).to.equal(0)
    const {calls, options, protocols, service} = json<Record<string, string[]>>()
    expect({protocols, service}).to.deep.equal({protocols: ['oci'], service: 'store.Store'})
    expect(calls).to.have.length(11)
    expect(options).to.deep.equal(optionNames())
    const page = readFileSync(new URL('../../../docs/plugin.md', import.meta.url), 'utf8')
    for (const name of optionNames()) expect(page, name).to.contain(`\`${name}\``)
  })

  it('tries the plugin on a store', async () => {
    expect((await cli(['create', store, '--plaintext'])).status).to.equal(0)
    const {json, status, stdout} = await cli(['plugin', store, '--json'])
    expect(status, stdout).to.equal(0)
    const {ok, stderr, steps} = json<{selfTest: SelfTest}>().selfTest
    expect([ok, stderr]).to.deep.equal([true, ''])
    expect(steps.map(({call, detail}) => [call, detail.replace(/\d+ bytes/, 'N bytes')])).to.deep.equal([
      ['Init', `${fake.host}/backups/main`],
      ['Ping', 'the registry answers'],
      ['Mode', 'read and write'],
      ['Open', 'configuration of N bytes'],
      ['List packfiles', '0'],
      ['List states', '0'],
      ['List locks', '0'],
      ['Close', 'closed'],
    ])
    expect((await cli(['plugin', store])).stdout).to.match(/^ok +Init .*\n.*ok +Close .*closed\n$/s)
  })

  it('tells by its status what is wrong', async () => {
    const missing = await cli(['plugin', store])
    expect([missing.status, missing.stdout]).to.satisfy(
      ([status, text]: [number, string]) => status === 66 && /FAILED +Open .*no store here/.test(text),
    )
    const option = await cli(['plugin', store, '--option', 'cache-size=1G'])
    expect(option.status).to.equal(64)
    expect(option.stdout).to.contain('unknown option "cache-size": did you mean cache_size?')
    fake.options = {...fake.options, auth: 'bearer'}
    expect((await cli(['plugin', store])).status).to.equal(77)
    const gone = await cli(['plugin', 'oci://127.0.0.1:1/a/b', '--option', 'retries=0'])
    expect(gone.status).to.equal(69)
    expect(gone.stdout).to.match(/FAILED +Ping .*nothing listens/)
  })

  it('takes no secret on the command line', async () => {
    for (const key of ['password', 'token', 'secret_access_key', 'identity_token']) {
      const {status, stderr} = await cli(['plugin', store, '--option', `${key}=canary`])
      expect(status, key).to.equal(64)
      expect(stderr)
        .to.match(/password_file/)
        .and.not.to.contain('canary')
    }

    expect((await cli(['plugin', store, '--option', 'durable'])).stderr).to.match(/KEY=VALUE/)
  })

  it('says how a program that is no plugin ended', async () => {
    for (const [program, says] of [
      [script('silent', 'exit 3'), /it ended with status 3/],
      [script('chatty', 'echo hello, this is no plugin; cat >/dev/null'), /did not answer/],
      [script('loud', 'echo "no such license" >&2; exit 1'), /status 1: no such license/],
      ['/nowhere/plugin', /ENOENT/],
    ] as const) {
      const {status, stderr} = await cli(['plugin', store, '--executable', program])
      expect(status, program).to.equal(69)
      expect(stderr).to.match(says)
    }
  })
})
