import {expect} from 'chai'
import {type ChildProcess, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {closeSync, existsSync, openSync, readdirSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'

import {cleanEnv, cli, PROGRAM} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {goldenCopy, scratchDir} from '../helpers/hooks.js'

const MAC = '34'.repeat(32)
const tagged = (number: number) => `packfiles-${number.toString(16).padStart(64, '0')}`

describe('pipes and signals', () => {
  let fake: FakeRegistry
  let store: string

  beforeEach(async () => {
    fake = await FakeRegistry.start()
    store = `oci://${fake.host}/backups/main`
    fake.repository('backups/main').addImage('CONFIG', 'not read here')
  })

  afterEach(() => fake.stop())

  /** Points many tags at one manifest: for lists that are only listed. */
  function fill(tags: number): void {
    const repository = fake.repository('backups/main')
    const digest = repository.addImage(tagged(0), 'x')
    for (let tag = 1; tag < tags; tag++) repository.tags.set(tagged(tag), digest)
  }

  it('a document of megabytes arrives whole through a slow pipe, when the command fails', async () => {
    fill(20_000)
    fake.options = {tagPage: 1000}
    fake.fail({path: /tags\/list.*last/, skip: 15, status: 400, times: 99})
    let reading: Promise<string> = Promise.resolve('')
    const {status} = await cli(['ls', store, '--json', '--retries', '0'], {
      onSpawn(child) {
        reading = readSlowly(child)
      },
      raw: true,
    })
    const text = await reading
    expect(status).to.equal(69)
    expect(text.length).to.be.greaterThan(1024 * 1024)
    const document = JSON.parse(text) as {error: {code: string}; exitCode: number; objects: unknown[]; schema: string}
    expect(document.schema).to.equal('kloset-oci/ls/v1')
    expect(document.exitCode).to.equal(69)
    expect(document.error.code).to.be.oneOf(['PROTOCOL', 'REGISTRY'])
    expect(document.objects.length).to.be.greaterThan(10_000)
  })

  it('a reader that goes away is no error to talk about', async () => {
    fill(30_000)
    for (const args of [
      ['ls', store],
      ['ls', store, '--json'],
    ]) {
      const {status, stderr} = await cli(args, {
        onSpawn: (child) => child.stdout!.once('data', () => child.stdout!.destroy()),
        raw: true,
      })
      expect([status, stderr], args.join(' ')).to.deep.equal([141, ''])
    }

    fake.repository('backups/main').addImage(`packfiles-${MAC}`, randomBytes(3_000_000))
    const {status, stderr} = await cli(['get', store, 'packfile', MAC], {
      onSpawn: (child) => child.stdout!.once('data', () => child.stdout!.destroy()),
      raw: true,
    })
    expect([status, stderr]).to.deep.equal([141, ''])
  })

  it('a command that has its result keeps its status, whoever reads it', async () => {
    const path = goldenCopy('plaintext')
    writeFileSync(join(path, 'index.json'), '{"schemaVersion":2,"manifests":[]}')
    const {status} = await cli(['gc-check', `oci-layout:${path}`], {
      onSpawn: (child) => child.stdout!.destroy(),
      raw: true,
    })
    expect(status).to.equal(66)
  })

  it('a full disk behind standard output is told', async function () {
    if (!existsSync('/dev/full')) this.skip()
    for (const args of [
      ['ls', store],
      ['ls', store, '--json'],
      ['get', store, 'config'],
    ]) {
      const full = openSync('/dev/full', 'w')
      const stdio: ['ignore', number, 'pipe'] = ['ignore', full, 'pipe']
      const child = spawn(process.execPath, [PROGRAM, ...args], {env: cleanEnv(), stdio})
      closeSync(full)
      let stderr = ''
      child.stderr!.on('data', (chunk: Buffer) => {
        stderr += chunk.toString()
      })
      const [status] = (await once(child, 'close')) as [number]
      expect(status, args.join(' ')).to.equal(1)
      expect(stderr).to.match(/^error: cannot write standard output: no space left$/m)
      expect(stderr.match(/error:/g)).to.have.length(1)
    }
  })

  it('a full disk behind an output file leaves nothing behind', async function () {
    if (!existsSync('/dev/full')) this.skip()
    const {status, stderr} = await cli(['get', store, 'config', '-o', '/dev/full'])
    expect(status).to.equal(64)
    expect(stderr).to.contain('not a regular file')
  })

  const interrupted: [string, string[], RegExp][] = [
    ['ls', ['ls'], /tags\/list/],
    ['gc-check', ['gc-check'], /tags\/list|manifests/],
    ['get', ['get', 'packfile', MAC, '-o', 'OUT'], /blobs\/sha256/],
    ['put', ['put', 'packfile', MAC, 'IN', '--overwrite'], /blobs\/uploads/],
    ['rm', ['rm', 'packfile', MAC, '--yes'], /manifests/],
  ]
  for (const [name, [command, ...rest], path] of interrupted) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      it(`${signal} in the middle of ${name} ends in 130 and leaves nothing half done`, async () => {
        fake.repository('backups/main').addImage(`packfiles-${MAC}`, randomBytes(300_000))
        const dir = scratchDir('interrupted')
        writeFileSync(join(dir, 'IN'), randomBytes(400_000))
        fake.fail({hang: name === 'get' ? 1000 : true, path, times: 1})
        const before = new Map(fake.repository('backups/main').tags)
        const {status, stderr} = await cli([command!, store, ...rest], {
          cwd: dir,
          onSpawn: (child) => interruptWhen(child, path, signal),
        })
        expect(status, stderr).to.equal(130)
        expect(stderr).to.match(/^error: interrupted/m)
        expect(readdirSync(dir)).to.deep.equal(['IN'])
        expect(fake.repository('backups/main').tags).to.deep.equal(before)
      })
    }
  }

  it('an interrupted put of a pipe says so, and leaves no file of what it had read', async () => {
    const before = spools()
    const {status} = await cli(['put', store, 'packfile', MAC, '-'], {
      onSpawn(child) {
        child.stdin!.end = () => child.stdin!
        // Called when the pipe has taken all of it: all but what a pipe holds has been read then.
        child.stdin!.write(randomBytes(6_000_000), () => child.kill('SIGINT'))
      },
    })
    expect(status).to.equal(130)
    expect(spools()).to.deep.equal(before)
    expect(fake.count('PUT')).to.equal(0)
  })

  it('tells an interruption under --json too, in a whole document', async () => {
    fill(3000)
    fake.options = {tagPage: 1000}
    fake.fail({hang: true, path: /tags\/list.*last/, skip: 1})
    const {json, status} = await cli(['ls', store, '--json'], {
      onSpawn: (child) => interruptWhen(child, /tags\/list/, 'SIGINT', 3),
    })
    expect(status).to.equal(130)
    expect(json()).to.deep.include({exitCode: 130, schema: 'kloset-oci/ls/v1'})
    expect(json<{error: {code: string}}>().error.code).to.equal('INTERRUPTED')
  })

  /** Sends the signal once the registry has seen the request that hangs. */
  function interruptWhen(child: ChildProcess, path: RegExp, signal: NodeJS.Signals, times = 1): void {
    const look = setInterval(() => {
      if (child.exitCode === null && fake.count(undefined, path) < times) return
      clearInterval(look)
      setTimeout(() => child.kill(signal), 100)
    }, 10)
  }
})

function spools(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.endsWith('.spool'))
}

async function readSlowly(child: ChildProcess): Promise<string> {
  let text = ''
  for await (const chunk of child.stdout!) {
    text += String(chunk)
    if (text.length < 300_000) await delay(50)
  }

  return text
}
