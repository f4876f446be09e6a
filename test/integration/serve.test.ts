import type {ChildProcess} from 'node:child_process'

import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {chmodSync, existsSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {join} from 'node:path'

import {Authority} from '../helpers/certificates.js'
import {cli, type CliOptions, type CliResult} from '../helpers/cli.js'
import {GOLDEN, goldenCopy, scratchDir} from '../helpers/hooks.js'

interface Serving {
  readonly ended: Promise<CliResult>
  readonly host: string
  readonly repositories: number
  stop(signal?: NodeJS.Signals): Promise<CliResult>
  readonly url: string
}

const running = new Set<ChildProcess>()

/** Starts `serve` on a free port, and waits until it says where. */
async function serve(path: string, flags: string[] = [], options: CliOptions = {}): Promise<Serving> {
  let child: ChildProcess | undefined
  const ended = cli(['serve', path, '--listen', '127.0.0.1:0', '--json', ...flags], {
    ...options,
    onSpawn(spawned) {
      child = spawned
      running.add(spawned)
      spawned.once('exit', () => running.delete(spawned))
    },
  })
  let text = ''
  while (!text.endsWith('}\n')) {
    const first = await Promise.race([once(child!.stdout!, 'data'), ended])
    if (!Array.isArray(first)) throw new Error(`serve ended: ${first.stdout} ${first.stderr}`)
    text += String(first[0])
  }

  const {repositories, schema, url} = JSON.parse(text) as {repositories: number; schema: string; url: string}
  expect(schema).to.equal('kloset-oci/serve/v1')
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child!.kill(signal)
    return ended
  }

  return {ended, host: new URL(url).host, repositories, stop, url}
}

async function listed(location: string): Promise<{tag: string}[]> {
  const {objects} = (await cli(['ls', location, '--long', '--json'])).json<{objects: {tag: string}[]}>()
  return objects.sort((a, b) => (a.tag < b.tag ? -1 : 1))
}

function loginOf(password: string): CliOptions {
  return {env: {KLOSET_OCI_PASSWORD: password, KLOSET_OCI_USERNAME: 'me'}}
}

describe('serve', () => {
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL')
  })

  it('offers a golden store: the same list, the same verdict as on the directory', async () => {
    for (const name of GOLDEN) {
      const path = goldenCopy(name)
      const {host, repositories, stop} = await serve(path)
      expect(repositories).to.equal(1)
      const store = `oci://${host}/${name}.oci`
      expect(await listed(store)).to.deep.equal(await listed(`oci-layout:${path}`))
      const check = await cli(['gc-check', store, '--deep'])
      expect(check.status, check.stdout).to.equal(0)
      expect((await stop()).status).to.equal(0)
    }
  })

  it('makes repositories in a folder as they are pushed to, and keeps them', async () => {
    const path = join(scratchDir('served'), 'registry')
    const first = await serve(path)
    expect(first.repositories).to.equal(0)
    const store = `oci://${first.host}/org/backups`
    const bytes = randomBytes(2_000_000)
    const mac = 'ef'.repeat(32)
    expect((await cli(['create', store, '--plaintext'])).status).to.equal(0)
    expect((await cli(['put', store, 'packfile', mac], {input: bytes})).status).to.equal(0)
    expect((await cli(['doctor', store])).stdout).to.contain('everything that was looked at works')
    expect((await first.stop('SIGINT')).status).to.equal(0)
    const second = await serve(join(path, 'org', 'backups'), ['--repository', 'moved/store'])
    const got = await cli(['get', `oci://${second.host}/moved/store`, 'packfile', mac])
    expect(bytes.equals(got.stdoutBytes)).to.equal(true)
    await second.stop()
  })

  it('refuses every write with --read-only, and every deletion with --no-delete', async () => {
    const path = goldenCopy('plaintext')
    const reading = await serve(path, ['--read-only'])
    const mac = '9'.repeat(64)
    const refused = await cli(['put', `oci://${reading.host}/plaintext.oci`, 'state', mac, '--retries', '0'], {
      input: 'x',
    })
    expect(refused.status).to.be.oneOf([69, 77])
    expect((await cli(['ls', `oci://${reading.host}/plaintext.oci`, 'state', '--count'])).stdout).to.equal('2\n')
    await reading.stop()
    const keeping = await serve(path, ['--no-delete'])
    const store = `oci://${keeping.host}/plaintext.oci`
    expect((await cli(['put', store, 'state', mac], {input: 'x'})).status).to.equal(0)
    expect((await cli(['rm', store, 'state', mac, '--yes'])).status).to.equal(69)
    await keeping.stop()
  })

  for (const auth of ['basic', 'bearer']) {
    it(`asks for a login with --auth ${auth}, and keeps the password out of its log`, async () => {
      const users = join(scratchDir('users'), 'users')
      writeFileSync(users, 'me:canary-Qx7\n', {mode: 0o600})
      const path = goldenCopy('plaintext')
      const {host, stop} = await serve(path, ['--users', users, '--auth', auth, '--verbose'])
      const store = `oci://${host}/plaintext.oci`
      expect((await cli(['ls', store])).status).to.equal(77)
      expect((await cli(['ls', store], loginOf('wrong'))).status).to.equal(77)
      expect((await cli(['ls', store], loginOf('canary-Qx7'))).status).to.equal(0)
      const {stderr} = await stop()
      expect(stderr).to.match(/^200 GET /m)
      expect(stderr).not.to.contain('canary-Qx7')
      expect(stderr).not.to.contain(Buffer.from('me:canary-Qx7').toString('base64'))
    })
  }

  it('speaks https with a certificate of its own', async () => {
    const authority = await Authority.make()
    const {certFile, keyFile} = await authority.issue(['127.0.0.1'])
    const {host, stop, url} = await serve(goldenCopy('plaintext'), ['--tls-cert', certFile, '--tls-key', keyFile])
    expect(url).to.match(/^https:/)
    const store = `oci://${host}/plaintext.oci`
    expect((await cli(['ls', store, '--count', '--retries', '0'])).status).to.equal(69)
    // A loopback host is spoken to over http unless something says otherwise.
    const trusted = await cli(['ls', store, 'state', '--count', '--no-plain-http', '--ca-file', authority.own.certFile])
    expect([trusted.status, trusted.stdout], trusted.stderr).to.deep.equal([0, '2\n'])
    await stop()
  })

  it('says what is wrong before it listens', async () => {
    const dir = scratchDir('wrong')
    writeFileSync(join(dir, 'file'), 'x')
    chmodSync(join(dir, 'file'), 0o600)
    const file = join(dir, 'file')
    expect((await cli(['serve', file])).status).to.equal(64)
    expect((await cli(['serve', join(dir, 'nowhere'), '--read-only'])).status).to.equal(66)
    expect(existsSync(join(dir, 'nowhere'))).to.equal(false)
    expect((await cli(['serve', dir, '--listen', 'nonsense'])).status).to.equal(64)
    expect((await cli(['serve', dir, '--users', file])).status).to.equal(64)
    expect((await cli(['serve', dir, '--tls-cert', file, '--tls-key', file])).status).to.equal(64)
    expect((await cli(['serve', dir, '--tls-cert', file])).status).to.equal(2)
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const {port} = taken.address() as {port: number}
    const {status, stderr} = await cli(['serve', dir, '--listen', `127.0.0.1:${port}`])
    expect(status).to.equal(1)
    expect(stderr).to.contain('address already in use').and.to.contain('--listen')
    taken.close()
  })

  it('tells a person where it is, and warns of what an open address means', async () => {
    let stdout = ''
    let child: ChildProcess | undefined
    const ended = cli(['serve', goldenCopy('plaintext'), '--listen', ':0'], {
      onSpawn(spawned) {
        child = spawned
        running.add(spawned)
        spawned.stdout!.on('data', (chunk: Buffer) => {
          stdout += chunk.toString()
          if (/http:/.test(stdout)) setTimeout(() => spawned.kill('SIGINT'), 300)
        })
      },
    })
    const {status, stderr} = await ended
    expect(child).not.to.equal(undefined)
    expect(status).to.equal(0)
    expect(stdout).to.match(/^http:\/\/\S+:\d+\n$/)
    expect(stderr).to.contain('--users FILE').and.to.contain('Ctrl-C')
  })
})
