import {expect} from 'chai'
import {mkdirSync, readdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {EXIT_CODES} from '../../src/exit-codes.js'
import {cli} from '../helpers/cli.js'
import {FakeRegistry, type Fault, PASSWORD, USER} from '../helpers/fake-registry.js'
import {scratchDir} from '../helpers/hooks.js'

const MAC = '12'.repeat(32)

interface ErrorDocument {
  readonly error: {
    readonly code: string
    readonly facts: Record<string, unknown>
    readonly message: string
    readonly suggestions: string[]
  }
  readonly exitCode: number
  readonly schema: string
}

/** Runs a command twice, for people and for programs: both must tell the same failure. */
async function failing(args: readonly string[], options: Parameters<typeof cli>[1] = {}): Promise<ErrorDocument> {
  const [human, machine] = await Promise.all([cli(args, options), cli([...args, '--json'], options)])
  expect(human.stdout, 'standard output of a failure').to.equal('')
  expect(human.stderr).to.match(/^error: \S/)
  expect(human.stderr, 'a stack').not.to.match(/^\s+at /m)
  const document = machine.json<ErrorDocument>()
  expect(machine.stderr).to.equal('')
  expect(document.exitCode).to.equal(machine.status)
  expect(machine.status).to.equal(human.status)
  expect(document.schema).to.match(/^kloset-oci\/[a-z-]+\/v1$/)
  return document
}

describe('bad input', () => {
  describe('on the command line', () => {
    const usage: [string, string[], number][] = [
      ['an unknown command', ['frobnicate'], 2],
      ['an unknown flag', ['ls', 'oci-layout:x', '--frobnicate'], 2],
      ['a missing argument', ['ls'], 2],
      ['one argument too many', ['info', 'oci-layout:x', 'y'], 2],
      ['an unknown resource', ['ls', 'oci-layout:x', 'snapshot'], 2],
      ['no concurrency', ['ls', 'oci-layout:x', '--concurrency', '0'], 2],
      ['too much concurrency', ['ls', 'oci-layout:x', '--concurrency', '65'], 2],
      ['a certificate without its key', ['ls', 'oci://h/x', '--cert-file', 'x'], 2],
      ['no scheme', ['ls', 'registry.example/backups'], 64],
      ['another scheme', ['ls', 'docker://registry.example/backups'], 64],
      ['an upper-case repository', ['ls', 'oci://registry.example/Backups'], 64],
      ['a tag', ['ls', 'oci://registry.example/backups:latest'], 64],
      ['a port that is none', ['ls', 'oci://registry.example:99999/backups'], 64],
      ['a password in the reference', ['ls', 'oci://user:secret@registry.example/backups'], 64],
      ['an empty path', ['ls', 'oci-layout:'], 64],
      ['an empty argument', ['ls', ''], 64],
      ['a path of a snapshot that is empty', ['snapshot', 'restore', 'oci-layout:x', 'latest', '', '--to', 'x'], 64],
      ['an empty value', ['snapshot', 'restore', 'oci-layout:x', 'latest', '--to', ''], 64],
      ['an empty value behind an equals sign', ['verify', 'oci-layout:x', '--result='], 64],
      ['an empty value of a short flag', ['snapshot', 'cat', 'oci-layout:x', 'latest', 'a', '-o='], 64],
      ['an empty source', ['repair', 'plan', 'oci-layout:x', '--from', '', '-o', 'x'], 64],
      ['an empty command for the passphrase', ['locks', 'ls', 'oci-layout:x', '--passphrase-command', ''], 64],
      ['a MAC that is too short', ['put', 'oci-layout:x', 'packfile', '1234'], 64],
      ['no MAC', ['get', 'oci-layout:x', 'packfile'], 64],
      ['a MAC for the configuration', ['get', 'oci-layout:x', 'config', MAC], 64],
      ['a range without its length', ['get', 'oci-layout:x', 'packfile', MAC, '--range', '5'], 64],
      ['a negative range', ['get', 'oci-layout:x', 'packfile', MAC, '--range', '-5:3'], 64],
      ['a user without a password', ['ls', 'oci://registry.example/x', '--username', 'me'], 64],
      ['a CA file that is not there', ['ls', 'oci://registry.example/x', '--ca-file', '/nowhere/ca.pem'], 64],
    ]
    for (const [what, args, status] of usage) {
      it(`${what} ends in ${status}`, async () => {
        const {error, exitCode} = await failing(args)
        expect(exitCode, error.message).to.equal(status)
        expect(JSON.stringify(error)).not.to.contain('secret')
      })
    }

    it('what is in a file is shown and never obeyed by the terminal', async () => {
      const plan = join(scratchDir('plan'), 'plan.json')
      writeFileSync(plan, '\u001B]0;owned\u0007')
      const people = await cli(['repair', 'apply', plan, '--yes'])
      expect(people.status).to.equal(65)
      expect(people.stderr)
        .to.contain(String.raw`\x1b]0;owned\x07`)
        .and.not.to.contain('\u001B')
      const {error} = await failing(['repair', 'apply', plan, '--yes'])
      expect(JSON.stringify(error)).to.contain('owned')
    })

    it('a file that is no saved configuration is named', async () => {
      const file = join(scratchDir('config'), 'saved')
      writeFileSync(file, '{"schemaVersion":2,"manifests":[]}')
      const {error, exitCode} = await failing(['config', 'import', 'oci-layout:x', file])
      expect([exitCode, error.message.split(':')[0]]).to.deep.equal([65, file])
    })

    it('an empty standard input for a password is no password', async () => {
      const document = await failing(['ls', 'oci://registry.example/x', '--username', 'me', '--password-stdin'], {
        input: '\n',
      })
      expect(document.exitCode).to.equal(64)
    })

    it('standard input cannot be the object and the password', async () => {
      const args = ['put', 'oci-layout:x', 'packfile', MAC, '-', '--username', 'me', '--password-stdin']
      expect((await failing(args, {input: 'x'})).error.message).to.contain('both')
    })

    it('never waits for an argument from standard input', async () => {
      // Left open: a program that reads it would never end.
      const {status} = await cli(['ls'], {
        onSpawn(child) {
          child.stdin!.end = () => child.stdin!
        },
      })
      expect(status).to.equal(2)
    })
  })

  describe('in a directory', () => {
    it('a folder that is no image layout is not found', async () => {
      expect((await failing(['ls', `oci-layout:${scratchDir('plain')}`])).exitCode).to.equal(66)
    })

    it('an image layout of another version is not guessed at', async () => {
      const dir = scratchDir('future')
      writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}')
      writeFileSync(join(dir, 'index.json'), '{"schemaVersion":2,"manifests":[]}')
      expect((await failing(['ls', `oci-layout:${dir}`])).exitCode).to.equal(78)
    })

    it('create does not turn a folder full of files into a store', async () => {
      const dir = scratchDir('full')
      mkdirSync(join(dir, 'photos'))
      expect((await failing(['create', `oci-layout:${dir}`, '--plaintext'])).exitCode).to.equal(64)
      expect(readdirSync(dir)).to.deep.equal(['photos'])
    })

    it('an empty pipe or file is no object, and nothing is written', async () => {
      const dir = scratchDir('empty')
      const store = `oci-layout:${join(dir, 's')}`
      await cli(['create', store, '--plaintext'])
      const piped = await failing(['put', store, 'packfile', MAC], {input: ''})
      expect([piped.error.message, piped.exitCode]).to.deep.equal([
        'nothing came by standard input: no object is without a byte',
        64,
      ])
      const file = join(dir, 'nothing')
      writeFileSync(file, '')
      const {error, exitCode} = await failing(['put', store, 'packfile', MAC, file])
      expect([error.message, exitCode]).to.deep.equal([`${file} is empty: no object is without a byte`, 64])
      expect((await cli(['ls', store])).stdout).to.equal('config    CONFIG\n')
    })

    it('a configuration of an unknown version ends in 78', async () => {
      const store = `oci-layout:${join(scratchDir('version'), 's')}`
      await cli(['create', store, '--plaintext'])
      const config = (await cli(['get', store, 'config'])).stdoutBytes
      config.writeUInt32LE(0x00_02_00_00, 12)
      const {exitCode} = await failing(['put', store, 'config', '--overwrite'], {input: config})
      expect(exitCode).to.equal(78)
    })
  })

  describe('from a registry', () => {
    let fake: FakeRegistry
    let store: string

    beforeEach(async () => {
      fake = await FakeRegistry.start()
      store = `oci://${fake.host}/backups/main`
      fake.repository('backups/main').addImage('CONFIG', 'not read here')
    })

    afterEach(() => fake.stop())

    const answers: [string, Fault, keyof typeof EXIT_CODES][] = [
      ['401', {status: 401, times: 99}, 'UNAUTHORIZED'],
      ['403', {body: '{"errors":[{"code":"DENIED","message":"no"}]}', status: 403, times: 99}, 'FORBIDDEN'],
      ['404 that says nothing', {html: true, status: 404, times: 99}, 'NOT_FOUND'],
      ['405', {status: 405, times: 99}, 'UNSUPPORTED'],
      ['429', {headers: {'retry-after': '0'}, status: 429, times: 99}, 'RATE_LIMITED'],
      ['500', {status: 500, times: 99}, 'REGISTRY'],
      ['503 with 10 MB of it', {body: Buffer.alloc(10_000_000, 'x'), status: 503, times: 99}, 'REGISTRY'],
      ['a web page instead of a list', {html: true, times: 99}, 'PROTOCOL'],
      ['a list cut short', {dropAfter: 10, times: 99}, 'UNREACHABLE'],
      ['rubbish instead of a list', {mangle: () => Buffer.from('{"tags":[42]}'), times: 99}, 'PROTOCOL'],
    ]
    for (const [what, fault, code] of answers) {
      it(`${what} is ${code}`, async () => {
        fake.fail({...fault, path: /tags\/list/})
        const {error, exitCode} = await failing(['ls', store, '--retries', '1'])
        expect(error.code, error.message).to.equal(code)
        expect(exitCode).to.equal(EXIT_CODES[code])
        expect(error.message.length).to.be.lessThan(1500)
      })
    }

    it('a list that never ends is an error, not a shorter store', async () => {
      for (let tag = 0; tag < 5; tag++) fake.repository('backups/main').addImage(`t${tag}`, String(tag))
      fake.options = {linkForm: 'loop', tagPage: 2}
      expect((await failing(['ls', store])).error.code).to.equal('PROTOCOL')
    })

    it('other bytes than the digest names do not come out as the object', async () => {
      const repository = fake.repository('backups/main')
      repository.addImage(`packfiles-${MAC}`, 'the object')
      fake.fail({mangle: (body) => Buffer.from(body.toString().replace('object', 'OBJECT')), path: /blobs/, times: 99})
      const out = join(scratchDir('get'), 'out')
      const {error, exitCode} = await failing(['get', store, 'packfile', MAC, '-o', out])
      expect([error.code, exitCode]).to.deep.equal(['INTEGRITY', 65])
      expect(readdirSync(join(out, '..'))).to.deep.equal([])
    })

    const spoilt: [string, Fault, keyof typeof EXIT_CODES][] = [
      [
        'content of another size than its manifest says',
        {headers: {'content-length': '9'}, path: /blobs/},
        'INTEGRITY',
      ],
      ['content cut short each time', {dropAfter: 4, path: /blobs/}, 'UNREACHABLE'],
      ['compressed content', {headers: {'content-encoding': 'gzip'}, path: /blobs/}, 'PROTOCOL'],
      ['a manifest of another media type', {headers: {'content-type': 'image/png'}, path: /manifests/}, 'PROTOCOL'],
      ['a web page instead of a manifest', {html: true, path: /manifests/}, 'PROTOCOL'],
      ['a manifest without an end', {endless: true, path: /manifests/}, 'PROTOCOL'],
    ]
    for (const [what, fault, code] of spoilt) {
      it(`${what} is ${code}, and no file`, async () => {
        fake.repository('backups/main').addImage(`packfiles-${MAC}`, 'the object')
        fake.fail({...fault, method: 'GET', times: 99})
        const folder = scratchDir('spoilt')
        const args = ['get', store, 'packfile', MAC, '-o', join(folder, 'out'), '--retries', '1']
        const {error, exitCode} = await failing(args)
        expect([error.code, exitCode], error.message).to.deep.equal([code, EXIT_CODES[code]])
        expect(readdirSync(folder)).to.deep.equal([])
      })
    }

    it('a whole answer to a range is cut to the range', async () => {
      fake.options = {ranges: 'ignored'}
      fake.repository('backups/main').addImage(`packfiles-${MAC}`, '0123456789')
      const {stdout} = await cli(['get', store, 'packfile', MAC, '--range', '3:4'])
      expect(stdout).to.equal('3456')
    })

    it('a range that is answered with another one is refused', async () => {
      fake.options = {ranges: 'wrong-start'}
      fake.repository('backups/main').addImage(`packfiles-${MAC}`, '0123456789')
      const {error} = await failing(['get', store, 'packfile', MAC, '--range', '3:4', '-o', join(scratchDir('r'), 'o')])
      expect(error.code).to.equal('PROTOCOL')
    })

    it('a wrong password is told with the way to another, and nothing is written', async () => {
      fake.options = {auth: 'basic'}
      const env = {KLOSET_OCI_PASSWORD: 'wrong', KLOSET_OCI_USERNAME: USER}
      const {error, exitCode} = await failing(['put', store, 'packfile', MAC, '--overwrite'], {env, input: 'x'})
      expect([error.code, exitCode]).to.deep.equal(['UNAUTHORIZED', 77])
      expect(error.suggestions.join(' ')).to.contain('login')
      expect(fake.repository('backups/main').tags.size).to.equal(1)
      const right = {KLOSET_OCI_PASSWORD: PASSWORD, KLOSET_OCI_USERNAME: USER}
      expect((await cli(['ls', store], {env: right})).status).to.equal(0)
    })

    it('a store whose registry is not there is unreachable', async () => {
      await fake.stop()
      const {error, exitCode} = await failing(['gc-check', store, '--retries', '0'])
      expect([error.code, exitCode]).to.deep.equal(['UNREACHABLE', 69])
      fake = await FakeRegistry.start()
    })

    it('create over a store, or over what is left of one, writes nothing', async () => {
      expect((await failing(['create', store, '--plaintext'])).exitCode).to.equal(73)
      const left = fake.repository('backups/left')
      left.addImage(`packfiles-${MAC}`, 'x')
      expect((await failing(['create', `oci://${fake.host}/backups/left`, '--plaintext'])).exitCode).to.equal(73)
      expect([...left.tags.keys()]).to.deep.equal([`packfiles-${MAC}`])
    })
  })
})
