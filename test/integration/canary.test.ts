import {expect} from 'chai'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli, type CliOptions} from '../helpers/cli.js'
import {FakeRegistry, PASSWORD, USER} from '../helpers/fake-registry.js'
import {scratchDir} from '../helpers/hooks.js'
import {TestServer} from '../helpers/http-server.js'

const MAC = '56'.repeat(32)
/** Every form in which the password or a token could show. */
const CANARIES = [
  PASSWORD,
  'canary-token',
  Buffer.from(`${USER}:${PASSWORD}`).toString('base64'),
  Buffer.from(PASSWORD).toString('base64').replaceAll('=', ''),
  encodeURIComponent(PASSWORD),
]

describe('secrets', () => {
  for (const auth of ['basic', 'bearer'] as const) {
    describe(`of a registry with ${auth} authentication`, () => {
      let fake: FakeRegistry
      let store: string
      let dir: string

      before(async () => {
        fake = await FakeRegistry.start({auth})
        store = `oci://${fake.host}/backups/main`
        dir = scratchDir('canary')
        writeFileSync(join(dir, 'object'), 'bytes')
      })

      after(() => fake.stop())

      it('show in nothing that a command prints, when all goes well', async () => {
        await search(['create', store, '--plaintext'])
        await search(['put', store, 'packfile', MAC, 'object'], {cwd: dir})
        await search(['get', store, 'packfile', MAC, '-o', 'out'], {cwd: dir})
        await search(['ls', store, '--long'])
        await search(['info', store])
        await search(['gc-check', store, '--deep'])
        await search(['rm', store, 'packfile', MAC])
        await search(['doctor', store])
        expect(fake.violations).to.deep.equal([])
      })

      it('show in no error either', async () => {
        const faults = [
          {status: 401},
          {status: 403},
          {status: 500},
          {html: true},
          {dropAfter: 3},
          {mangle: () => Buffer.from('{')},
        ]
        for (const fault of faults) {
          fake.fail({...fault, path: /v2/, times: 99})
          await search(['ls', store, '--retries', '0'])
          fake.forget()
        }
      })

      it('are kept by login where docker keeps them, and show nowhere else', async () => {
        const file = join(dir, 'auth.json')
        const pipe = {env: {KLOSET_OCI_PASSWORD: undefined, KLOSET_OCI_USERNAME: undefined}, input: `${PASSWORD}\n`}
        await search(['login', fake.host, '--username', USER, '--password-stdin', '--authfile', file], pipe)
        expect(JSON.parse(readFileSync(file, 'utf8'))).to.deep.equal({
          auths: {[fake.host]: {auth: Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}},
        })
        const {status} = await cli(['ls', store, '--authfile', file])
        expect(status).to.equal(0)
        await search(['doctor', store, '--authfile', file], {env: pipe.env})
        const {said} = await listen(['logout', fake.host, '--authfile', file], {env: {DEBUG: '1'}})
        for (const canary of CANARIES) expect(said).not.to.contain(canary)
        expect(readFileSync(file, 'utf8')).not.to.contain(CANARIES[2])
      })
    })
  }

  it('show nowhere when a registry throws our own words back at us', async () => {
    const server = await TestServer.start(({headers}, response) => {
      const {authorization} = headers
      if (authorization === undefined) {
        response.writeHead(401, {'www-authenticate': 'Basic realm="echo"'}).end()
        return
      }

      const message = `bad password ${PASSWORD} in ${authorization}`
      response
        .writeHead(403, {'content-type': 'application/json'})
        .end(JSON.stringify({errors: [{code: 'DENIED', message}]}))
    })
    await search(['ls', `oci://127.0.0.1:${server.port}/backups/main`, '--retries', '0'])
    expect(server.requests.length).to.be.greaterThan(1)
    await server.close()
  })

  it('in the address of a proxy show nowhere', async () => {
    const env = {
      HTTP_PROXY: `http://${USER}:${PASSWORD}@127.0.0.1:1`,
      HTTPS_PROXY: `http://${USER}:${PASSWORD}@127.0.0.1:1`,
    }
    for (const args of [
      ['ls', 'oci://registry.invalid/x', '--retries', '0', '--verbose'],
      ['doctor', 'oci://registry.invalid/x', '--retries', '0', '--json'],
    ]) {
      const {status, stderr, stdout} = await cli(args, {env: {...env, DEBUG: '1'}})
      expect(status).to.equal(69)
      for (const canary of CANARIES) expect(stderr + stdout).not.to.contain(canary)
    }
  })
})

/** Everything that a run of a command shows to anybody on the machine. */
async function listen(args: readonly string[], options: CliOptions): Promise<{said: string; status: null | number}> {
  const titles: string[] = []
  const {status, stderr, stdout} = await cli(args, {
    ...options,
    onSpawn(child) {
      const look = setInterval(() => {
        try {
          titles.push(readFileSync(`/proc/${child.pid}/cmdline`, 'latin1'))
        } catch {
          clearInterval(look)
        }
      }, 20)
      child.once('exit', () => clearInterval(look))
    },
  })
  return {said: [stdout, stderr, ...titles].join('\n'), status}
}

/** Runs a command in every way that prints something, and searches all of it, and the process list too. */
async function search(args: string[], options: CliOptions = {}): Promise<void> {
  const env = {KLOSET_OCI_PASSWORD: PASSWORD, KLOSET_OCI_USERNAME: USER, ...options.env}
  for (const extra of [['--verbose'], ['--json', '--verbose']]) {
    const {said, status} = await listen([...args, ...extra], {...options, env: {...env, DEBUG: '1'}})
    expect(said.length).to.be.greaterThan(0)
    for (const canary of CANARIES) expect(said, `${args.join(' ')}: ${status}`).not.to.contain(canary)
  }
}
