import {expect} from 'chai'
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import {MemoryRoot, type RunningServer, type ServerOptions, startServer, UserTable} from '../../src/server/index.js'
import {cliServer} from '../helpers/cli-server.js'
import {scratchDir} from '../helpers/hooks.js'
import {needPeer, runPeer} from '../helpers/peers.js'

/** Fewer checks than this, and the suite left most of them out. */
const CHECKS = 800

const users = new UserTable(new Map([['ada', 'a-password']]))

/** Everything that the suite can ask for: cancelled uploads, digest headers, tag parameters, sparse manifests. */
const EVERYTHING = {OCI_DATA_SPARSE: 'true', OCI_VERSION: 'dev'}

describe("the specification's conformance suite", function () {
  this.timeout(300_000)

  let server: RunningServer | undefined
  let results: string
  let suite: string

  before(function () {
    suite = needPeer(this, 'conformance')
  })

  beforeEach(function () {
    results = scratchDir('conformance')
  })

  afterEach(async function () {
    await server?.close()
    server = undefined
  })

  async function start(options: Omit<ServerOptions, 'listen'>): Promise<string> {
    server = await startServer({...options, listen: '127.0.0.1:0'})
    return new URL(server.url).host
  }

  async function check(host: string, env: Record<string, string>): Promise<void> {
    const {output, status} = await runPeer(suite, [], {
      env: {
        ...env,
        OCI_REGISTRY: host,
        OCI_REPO1: 'conformance/one',
        OCI_REPO2: 'conformance/two',
        OCI_RESULTS_DIR: results,
        OCI_TLS: 'disabled',
      },
    })
    const count = (what: string) =>
      Number(new RegExp(String.raw`^ *${what}\.+: +(\d+)$`, 'm').exec(output)?.[1] ?? Number.NaN)
    const failed = output
      .split('\n')
      .filter((line) => /: (?:FAIL|Error)$/.test(line))
      .join('\n')
    expect(
      {error: count('Error'), fail: count('FAIL'), skip: count('Skip'), status},
      `${failed}\n${output.slice(-3000)}`,
    ).to.deep.equal({error: 0, fail: 0, skip: 0, status: 0})
    expect(count('Pass')).to.be.at.least(CHECKS)
    const report = join(results, 'results.yaml')
    expect(existsSync(report) && readFileSync(report, 'utf8')).to.include('conformance/one')
  }

  it('passes as the command serves a folder', async function () {
    const running = await cliServer([join(scratchDir('registry'), 'made')])
    try {
      await check(new URL(running.url).host, {OCI_VERSION: '1.1'})
    } finally {
      expect(await running.stop()).to.deep.include({status: 0})
    }
  })

  it('passes with all that is optional or to come, for layouts', async function () {
    await check(await start({durable: false, root: scratchDir('registry'), sparse: true}), EVERYTHING)
  })

  it('passes with all that is optional or to come, in memory', async function () {
    await check(await start({root: new MemoryRoot(), sparse: true}), EVERYTHING)
  })

  for (const kind of ['basic', 'bearer'] as const) {
    it(`passes for ${kind} logins`, async function () {
      const host = await start({auth: {kind, users}, durable: false, root: scratchDir('registry')})
      await check(host, {OCI_PASSWORD: 'a-password', OCI_USERNAME: 'ada', OCI_VERSION: '1.1'})
    })
  }

  it('passes for an image layout that the folder holds already', async function () {
    const root = scratchDir('registry')
    const first = await startServer({durable: false, listen: '127.0.0.1:0', root})
    for (const name of ['one', 'two']) await first.root.create(`conformance/${name}`)
    await first.close()
    await check(await start({durable: false, root}), {OCI_VERSION: '1.1'})
  })
})
