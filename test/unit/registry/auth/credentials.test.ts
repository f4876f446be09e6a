import {expect} from 'chai'
import {chmodSync} from 'node:fs'
import {inspect} from 'node:util'

import {
  anonymousCredentials,
  type Credential,
  explainCredential,
  type FoundCredential,
  standardCredentials,
  type StandardCredentialsOptions,
} from '../../../../src/registry/auth/credentials.js'
import {authOf, TestHome} from '../../../helpers/credential-helpers.js'
import {failureIn, failureOf} from '../../../helpers/failure.js'

/** A credential with its secret to be seen. */
function plain(credential: Credential | undefined): unknown {
  if (!credential) return undefined
  return credential.kind === 'basic'
    ? `${credential.username}:${credential.password.reveal()}`
    : `${credential.kind} ${credential.token.reveal()}`
}

/** A file's entry. */
function as(name: string): {readonly auth: string} {
  return {auth: authOf(name, 'pw')}
}

function entry(name: string): unknown {
  return {auths: {'reg.example': as(name)}}
}

const DOCKER = '.docker/config.json'
const PODMAN = '.config/containers/auth.json'

describe('credentials', function () {
  let home: TestHome

  beforeEach(function () {
    home = new TestHome()
  })

  async function look(
    registry: string,
    repository?: string,
    options: StandardCredentialsOptions = {},
  ): Promise<FoundCredential | undefined> {
    return standardCredentials({env: home.env, ...options}).credentialFor({registry, repository})
  }

  const login = async (registry: string, repository?: string, options?: StandardCredentialsOptions) =>
    plain((await look(registry, repository, options))?.credential)

  describe('are looked for in their order', function () {
    let everywhere: Record<string, string>

    beforeEach(function () {
      everywhere = {
        ...home.env,
        KLOSET_OCI_PASSWORD: 'pw',
        KLOSET_OCI_USERNAME: 'environment',
        REGISTRY_AUTH_FILE: home.write('authfile.json', entry('authfile')),
        XDG_RUNTIME_DIR: home.path('run'),
      }
      home.write('run/containers/auth.json', entry('runtime'))
      home.write(PODMAN, entry('podman'))
      home.write(DOCKER, entry('docker'))
    })

    it('options, environment, files', async function () {
      const who = async (options: StandardCredentialsOptions = {}) =>
        login('reg.example', undefined, {env: everywhere, ...options})
      expect(await who({password: 'pw', username: 'options'})).to.equal('options:pw')
      expect(await who()).to.equal('environment:pw')
      delete everywhere['KLOSET_OCI_USERNAME']
      delete everywhere['KLOSET_OCI_PASSWORD']
      expect(await who()).to.equal('authfile:pw')
      delete everywhere['REGISTRY_AUTH_FILE']
      expect(await who()).to.equal('runtime:pw')
      delete everywhere['XDG_RUNTIME_DIR']
      expect(await who()).to.equal('podman:pw')
      everywhere['XDG_CONFIG_HOME'] = home.path('elsewhere')
      expect(await who()).to.equal('docker:pw')
      everywhere['DOCKER_CONFIG'] = home.path('elsewhere')
      expect(await who()).to.be.undefined
      home.write('elsewhere/config.json', entry('moved'))
      expect(await who()).to.equal('moved:pw')
    })

    it('the next file when one does not know the registry', async function () {
      home.write(PODMAN, {auths: {'other.example': {auth: authOf('podman', 'pw')}}})
      expect(await login('reg.example')).to.equal('docker:pw')
      expect(await login('other.example')).to.equal('podman:pw')
    })

    it('only for the host they are meant for, when the environment says so', async function () {
      everywhere['KLOSET_OCI_REGISTRY'] = 'Other.example'
      expect(await login('reg.example', undefined, {env: everywhere})).to.equal('authfile:pw')
      expect(await login('other.example', undefined, {env: everywhere})).to.equal('environment:pw')
    })
  })

  it('are none on an empty machine, or when none are wanted', async function () {
    expect(await login('reg.example')).to.be.undefined
    expect(await anonymousCredentials.credentialFor({registry: 'reg.example'})).to.be.undefined
  })

  it('may be a token', async function () {
    expect(await login('r', undefined, {token: 'T'})).to.equal('registry-token T')
    expect(await login('r', undefined, {identityToken: 'T'})).to.equal('identity T')
    expect(await login('r', undefined, {env: {...home.env, KLOSET_OCI_TOKEN: 'T'}})).to.equal('registry-token T')
  })

  it('are never half of one', async function () {
    for (const options of [{username: 'me'}, {password: 'CANARY'}, {password: 'CANARY', token: 'T', username: 'me'}]) {
      const error = failureIn(() => standardCredentials({env: home.env, ...options}))
      expect(error.code).to.equal('INVALID_ARGUMENT')
      expect(JSON.stringify(error)).to.not.contain('CANARY')
    }

    const env = {...home.env, KLOSET_OCI_PASSWORD: 'CANARY'}
    expect((await failureOf(look('r', undefined, {env}))).message).to.equal('KLOSET_OCI_USERNAME is missing')
    // Options come first: the password may be for the user that they name.
    expect(await login('r', undefined, {env, password: 'pw', username: 'me'})).to.equal('me:pw')
  })

  describe('in a file', function () {
    for (const [what, entry, expected] of [
      ['auth', {auth: authOf('me', 'p:w')}, 'me:p:w'],
      ['auth with zero bytes', {auth: authOf('me', 'pw\0\0')}, 'me:pw'],
      ['auth before user and password', {auth: authOf('me', 'pw'), password: 'x', username: 'y'}, 'me:pw'],
      ['user and password', {password: 'pw', username: 'me'}, 'me:pw'],
      ['an identity token', {auth: authOf('00000000', 'x'), identitytoken: 'T'}, 'identity T'],
      ['a registry token', {registrytoken: 'T'}, 'registry-token T'],
      ['a token as password', {auth: authOf('<token>', 'T')}, 'identity T'],
      ['nothing', {}, undefined],
      ['empty strings', {auth: '', identitytoken: ''}, undefined],
      ['a user alone', {username: 'me'}, undefined],
    ] as const) {
      it(`may be ${what}`, async function () {
        home.write(DOCKER, {auths: {'reg.example': entry}})
        expect(await login('reg.example')).to.equal(expected)
      })
    }

    for (const key of [
      'reg.example:5000',
      'https://reg.example:5000',
      'http://reg.example:5000/',
      'https://reg.example:5000/v1/',
      'https://REG.example:5000/v2/',
    ]) {
      it(`are found under ${key}`, async function () {
        home.write(DOCKER, {auths: {[key]: {auth: authOf('me', 'pw')}}})
        expect(await login('reg.example:5000')).to.equal('me:pw')
        expect(await login('reg.example')).to.be.undefined
        expect(await login('xreg.example:5000')).to.be.undefined
      })
    }

    for (const key of ['https://index.docker.io/v1/', 'docker.io', 'index.docker.io', 'https://registry-1.docker.io']) {
      it(`of the Docker Hub are found under ${key}`, async function () {
        home.write(DOCKER, {auths: {[key]: {auth: authOf('me', 'pw')}}})
        for (const registry of ['docker.io', 'index.docker.io', 'registry-1.docker.io']) {
          expect(await login(registry, 'org/store')).to.equal('me:pw')
        }
      })
    }

    it('are those of the longest path that fits', async function () {
      home.write(PODMAN, {
        auths: {'h:1': as('host'), 'h:1/a': as('a'), 'h:1/a/b': as('a/b'), 'h:1/a/b/c/d': as('a/b/c/d')},
      })
      expect(await login('h:1')).to.equal('host:pw')
      expect(await login('h:1', 'x')).to.equal('host:pw')
      expect(await login('h:1', 'a')).to.equal('a:pw')
      expect(await login('h:1', 'ab')).to.equal('host:pw')
      expect(await login('h:1', 'a/x')).to.equal('a:pw')
      expect(await login('h:1', 'a/b')).to.equal('a/b:pw')
      expect(await login('h:1', 'a/b/c')).to.equal('a/b:pw')
      expect(await login('h:1', 'a/b/c/d')).to.equal('a/b/c/d:pw')
      expect(await login('h', 'a/b')).to.be.undefined
    })

    it('may stand behind a byte order mark, and in an empty file not at all', async function () {
      home.write(DOCKER, `\uFEFF${JSON.stringify({auths: {r: {auth: authOf('me', 'pw')}}})}`)
      expect(await login('r')).to.equal('me:pw')
      home.write(DOCKER, ' \n')
      expect(await login('r')).to.be.undefined
    })

    for (const [what, content] of [
      ['cut off', '{"auths":{"r":{"auth":"CANARY'],
      ['a list', '["CANARY"]'],
      ['auths that are a list', {auths: ['CANARY']}],
      ['an entry that is a string', {auths: {r: 'CANARY'}}],
      ['an auth that is a number', {auths: {r: {auth: 17, password: 'CANARY'}}}],
      ['an auth that is no base64', {auths: {r: {auth: 'CANARY:-)'}}}],
      ['an auth without a colon', {auths: {r: {auth: Buffer.from('CANARY').toString('base64')}}}],
      ['an auth without a user', {auths: {r: {auth: authOf('', 'CANARY')}}}],
      ['helpers that are a list', {credHelpers: ['CANARY']}],
      ['a helper that is an object', {credHelpers: {r: {name: 'CANARY'}}}],
      ['a store that is an object', {credsStore: {name: 'CANARY'}}],
      ['a helper that is a path', {credsStore: '../CANARY'}],
    ] as const) {
      it(`that is malformed (${what}) are an error that names it and repeats nothing`, async function () {
        const path = home.write(DOCKER, content)
        const error = await failureOf(look('r'))
        expect(error.code).to.equal('UNAUTHORIZED')
        if (!what.includes('path')) expect(error.message).to.contain(path)
        expect(error.suggestions).to.have.length(1)
        expect(JSON.stringify(error) + error.stack + inspect(error)).to.not.contain('CANARY')
        const encoded = Buffer.from('CANARY').toString('base64').slice(0, 6)
        expect(JSON.stringify(error) + inspect(error)).to.not.contain(encoded)
      })
    }

    it('that cannot be read are an error', async function () {
      const path = home.write(DOCKER, {auths: {}})
      if (process.getuid?.() === 0) {
        // The superuser reads everything: a directory in its place cannot be read either.
        home.write('.config/containers/auth.json/inside', '')
        expect((await failureOf(look('r'))).message).to.contain('cannot be read (EISDIR)')
        return
      }

      chmodSync(path, 0)
      expect((await failureOf(look('r'))).message).to.contain(`${path}: cannot be read (EACCES)`)
    })
  })

  describe('of a helper', function () {
    it('are asked for by host', async function () {
      home.addHelper('keeper')
      home.keep('keeper', 'reg.example', {Secret: 'pw', Username: 'me'})
      home.keep('keeper', 'https://index.docker.io/v1/', {Secret: 'T', Username: '<token>'})
      home.write(DOCKER, {credsStore: 'keeper'})
      expect(await login('reg.example', 'a/b')).to.equal('me:pw')
      expect(await login('docker.io')).to.equal('identity T')
      expect(await login('other.example')).to.be.undefined
      // Nothing but the action on the command line, which everybody on the machine can see.
      expect(new Set(home.calls('keeper'))).to.deep.equal(new Set(['get']))
    })

    it('for one registry go before those of the one for all', async function () {
      home.addHelper('all')
      home.addHelper('one')
      home.keep('all', 'a.example', {Secret: 'pw', Username: 'all'})
      home.keep('all', 'b.example', {Secret: 'pw', Username: 'all'})
      home.keep('one', 'b.example', {Secret: 'pw', Username: 'one'})
      home.write(DOCKER, {credHelpers: {'b.example': 'one'}, credsStore: 'all'})
      expect(await login('a.example')).to.equal('all:pw')
      expect(await login('b.example')).to.equal('one:pw')
    })

    it('leave the file its say when they know nothing', async function () {
      home.addHelper('keeper')
      home.write(DOCKER, {auths: {'reg.example': {auth: authOf('me', 'pw')}}, credsStore: 'keeper'})
      expect(await login('reg.example')).to.equal('me:pw')
    })

    it('are asked for afresh each time', async function () {
      home.addHelper('keeper')
      home.keep('keeper', 'r', {Secret: 'old', Username: 'me'})
      home.write(DOCKER, {credHelpers: {r: 'keeper'}})
      const source = standardCredentials({env: home.env})
      expect(plain((await source.credentialFor({registry: 'r'}))?.credential)).to.equal('me:old')
      home.keep('keeper', 'r', {Secret: 'new', Username: 'me'})
      expect(plain((await source.credentialFor({registry: 'r'}))?.credential)).to.equal('me:new')
    })

    for (const [what, script, message] of [
      ['fails', `process.stdout.write('CANARY'); process.exit(3)`, /status 3/],
      ['dies', `process.kill(process.pid, 'SIGKILL')`, /get ended by SIGKILL/],
      ['answers with text', `process.stdout.write('CANARY')`, /not JSON/],
      ['answers with a list', `process.stdout.write('["CANARY"]')`, /not JSON/],
      ['answers with numbers', `process.stdout.write('{"Username":1,"Secret":"CANARY"}')`, /without a user name/],
      ['answers without end', `setInterval(() => process.stdout.write('CANARY'.repeat(10000)), 1)`, /more than/],
    ] as const) {
      it(`that ${what} are an error that repeats nothing`, async function () {
        home.addHelper('broken', script)
        home.write(DOCKER, {credsStore: 'broken'})
        const error = await failureOf(look('r'))
        expect(error.code).to.equal('UNAUTHORIZED')
        expect(error.message)
          .to.match(/^docker-credential-broken: /)
          .and.match(message)
        expect(JSON.stringify(error) + inspect(error)).to.not.contain('CANARY')
      })
    }

    it('that takes too long are an error', async function () {
      home.addHelper('slow', 'setInterval(() => {}, 1000)')
      home.write(DOCKER, {credsStore: 'slow'})
      const error = await failureOf(look('r', undefined, {helperTimeout: 300}))
      expect(error.message).to.contain('longer than 0.3 s')
    })

    it('that is not there are an error with a way out', async function () {
      home.write(DOCKER, {credsStore: 'absent'})
      const error = await failureOf(look('r'))
      expect(error.message).to.contain('docker-credential-absent: no such program')
      expect(error.suggestions.join(' ')).to.contain('credsStore').and.contain('KLOSET_OCI_USERNAME')
    })

    it('are not waited for when aborted', async function () {
      home.addHelper('slow', 'setInterval(() => {}, 1000)')
      home.write(DOCKER, {credsStore: 'slow'})
      const source = standardCredentials({env: home.env})
      const signal = AbortSignal.timeout(100)
      const error = await failureOf(source.credentialFor({registry: 'r'}, {signal}))
      expect(error.code).to.equal('INTERRUPTED')
      const again = source.credentialFor({registry: 'r'}, {signal: AbortSignal.abort()})
      expect((await failureOf(again)).code).to.equal('INTERRUPTED')
    })

    it('may leave a process behind that holds their output open', async function () {
      home.addHelper(
        'agent',
        `require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 20000)'], {
          detached: true, stdio: ['ignore', 'inherit', 'ignore'],
        }).unref()
        process.stdout.write('{"Username":"me","Secret":"pw"}', () => process.exit(0))`,
      )
      home.write(DOCKER, {credsStore: 'agent'})
      expect(await login('r')).to.equal('me:pw')
    })

    it('are left out for a registry whose login is in the file', async function () {
      home.write(DOCKER, {auths: {r: {auth: authOf('me', 'pw')}}, credHelpers: {r: ''}, credsStore: 'absent'})
      expect(await login('r')).to.equal('me:pw')
    })

    it('need not read what they are told', async function () {
      home.addHelper('hasty', `process.stdout.write('{"Username":"me","Secret":"pw"}')`)
      home.write(DOCKER, {credsStore: 'hasty'})
      expect(await login('r'.repeat(200))).to.equal('me:pw')
      home.addHelper('empty', `process.stdout.write('{"Username":"","Secret":""}')`)
      home.write(DOCKER, {credsStore: 'empty'})
      expect(await login('r')).to.be.undefined
    })
  })

  it('are explained without their secret', async function () {
    home.addHelper('keeper')
    home.keep('keeper', 'h.example', {Secret: 'CANARY', Username: 'me'})
    const file = home.write(DOCKER, {
      auths: {'f.example': {auth: authOf('me', 'CANARY')}},
      credHelpers: {'h.example': 'keeper'},
    })
    const explain = async (registry: string, options: StandardCredentialsOptions = {}) =>
      explainCredential({registry}, standardCredentials({env: home.env, ...options}))
    const results = [
      await explain('f.example'),
      await explain('h.example'),
      await explain('x.example'),
      await explain('x.example', {token: 'CANARY'}),
      await explain('x.example', {env: {KLOSET_OCI_PASSWORD: 'CANARY', KLOSET_OCI_USERNAME: 'me'}}),
    ]
    expect(results).to.deep.equal([
      {
        found: true,
        kind: 'basic',
        origin: {file, key: 'f.example', source: 'file'},
        registry: 'f.example',
        username: 'me',
      },
      {
        found: true,
        kind: 'basic',
        origin: {file, helper: 'keeper', key: 'h.example', source: 'helper'},
        registry: 'h.example',
        username: 'me',
      },
      {found: false, registry: 'x.example'},
      {found: true, kind: 'registry-token', origin: {source: 'options'}, registry: 'x.example'},
      {found: true, kind: 'basic', origin: {source: 'environment'}, registry: 'x.example', username: 'me'},
    ])
    expect(JSON.stringify(results) + inspect(results, {depth: 9})).to.not.contain('CANARY')
  })
})
