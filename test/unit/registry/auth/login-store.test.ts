import {expect} from 'chai'
import {existsSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync} from 'node:fs'

import type {Credential} from '../../../../src/registry/auth/credential.js'

import {standardCredentials} from '../../../../src/registry/auth/credentials.js'
import {eraseLogin, saveLogin} from '../../../../src/registry/auth/login-store.js'
import {Secret} from '../../../../src/registry/auth/secret.js'
import {authOf, TestHome} from '../../../helpers/credential-helpers.js'
import {failureOf} from '../../../helpers/failure.js'

const FILE = '.docker/config.json'

function user(username: string, password = 'CANARY'): Credential {
  return {kind: 'basic', password: new Secret(password), username}
}

describe('logins that are kept', function () {
  let home: TestHome

  beforeEach(function () {
    home = new TestHome()
  })

  const read = (name = FILE) => JSON.parse(readFileSync(home.path(name), 'utf8')) as unknown

  it('go into a new file that only its owner can read', async function () {
    const saved = await saveLogin('reg.example:5000', user('me', 'p:w'), {env: home.env})
    expect(saved).to.deep.equal({file: home.path(FILE), plaintext: true})
    expect(read()).to.deep.equal({auths: {'reg.example:5000': {auth: authOf('me', 'p:w')}}})
    expect(statSync(home.path(FILE)).mode % 0o1000).to.equal(0o600)
    expect(statSync(home.path('.docker')).mode % 0o1000).to.equal(0o700)
    expect(readdirSync(home.path('.docker'))).to.deep.equal(['config.json'])
    const found = await standardCredentials({env: home.env}).credentialFor({registry: 'reg.example:5000'})
    expect(found?.credential.kind).to.equal('basic')
  })

  it('leave the rest of the file as it was, in its order', async function () {
    const before = {
      auths: {'a.example': {}, 'z.example': {auth: 'eg==', extra: true}},
      credHelpers: {'other.example': 'keeper'},
      HttpHeaders: {'X-A': '1'},
      psFormat: String.raw`table {{.ID}}\t{{.Names}}`,
      zeta: [1, {b: null}],
    }
    const path = home.write(FILE, before)
    await saveLogin('reg.example', user('me'), {env: home.env})
    const after = read() as typeof before
    expect(after).to.deep.equal({...before, auths: {...before.auths, 'reg.example': {auth: authOf('me', 'CANARY')}}})
    expect(Object.keys(after)).to.deep.equal(Object.keys(before))
    expect(statSync(path).mode % 0o1000).to.equal(0o600)
    await eraseLogin('reg.example', {env: home.env})
    expect(read()).to.deep.equal(before)
  })

  it('replace an older one of the same host, however it was written', async function () {
    home.write(FILE, {auths: {'https://reg.example/v1/': {auth: 'b2xkOm9sZA=='}, 'reg.example/a': {auth: 'eA=='}}})
    await saveLogin('reg.example', user('me'), {env: home.env})
    expect(read()).to.deep.equal({
      auths: {'reg.example': {auth: authOf('me', 'CANARY')}, 'reg.example/a': {auth: 'eA=='}},
    })
  })

  it('may be tokens', async function () {
    await saveLogin('a', {kind: 'identity', token: new Secret('T')}, {env: home.env})
    await saveLogin('b', {kind: 'registry-token', token: new Secret('U')}, {env: home.env})
    expect(read()).to.deep.equal({auths: {a: {identitytoken: 'T'}, b: {registrytoken: 'U'}}})
  })

  it('of the Docker Hub have its old key', async function () {
    await saveLogin('docker.io', user('me'), {env: home.env})
    expect(Object.keys((read() as {auths: object}).auths)).to.deep.equal(['https://index.docker.io/v1/'])
    expect(await eraseLogin('registry-1.docker.io', {env: home.env})).to.deep.equal({file: home.path(FILE)})
    expect(read()).to.deep.equal({auths: {}})
  })

  it('go into the file that is named', async function () {
    const file = home.path('mine', 'auth.json')
    await saveLogin('a', user('me'), {env: home.env, file})
    expect(existsSync(home.path(FILE))).to.be.false
    expect(read('mine/auth.json')).to.deep.equal({auths: {a: {auth: authOf('me', 'CANARY')}}})
  })

  it('go through a link into the file it leads to', async function () {
    const real = home.write('real.json', {keep: 1})
    home.write('.docker/x', '')
    symlinkSync(real, home.path(FILE))
    await saveLogin('a', user('me'), {env: home.env})
    expect(lstatSync(home.path(FILE)).isSymbolicLink()).to.be.true
    expect(read('real.json')).to.deep.equal({auths: {a: {auth: authOf('me', 'CANARY')}}, keep: 1})
  })

  describe('by a helper', function () {
    beforeEach(function () {
      home.addHelper('keeper')
    })

    for (const config of [{credsStore: 'keeper'}, {credHelpers: {'reg.example': 'keeper'}}]) {
      it(`are not in the file (${Object.keys(config).join(' ')})`, async function () {
        home.write(FILE, {...config, auths: {'reg.example': {auth: authOf('old', 'old')}}})
        const saved = await saveLogin('reg.example', user('me'), {env: home.env})
        expect(saved).to.deep.equal({file: home.path(FILE), helper: 'keeper', plaintext: false})
        expect(home.kept('keeper')).to.deep.equal({'reg.example': {Secret: 'CANARY', Username: 'me'}})
        expect(read()).to.deep.equal({...config, auths: {'reg.example': {}}})
        expect(await eraseLogin('reg.example', {env: home.env})).to.deep.equal({
          file: home.path(FILE),
          helper: 'keeper',
        })
        expect(home.kept('keeper')).to.deep.equal({})
        expect(read()).to.deep.equal({...config, auths: {}})
        expect(home.calls('keeper').join(' ')).to.equal('store get erase')
      })
    }

    it('may be identity tokens', async function () {
      home.write(FILE, {credsStore: 'keeper'})
      await saveLogin('r', {kind: 'identity', token: new Secret('T')}, {env: home.env})
      expect(home.kept('keeper')).to.deep.equal({r: {Secret: 'T', Username: '<token>'}})
    })

    it('that refuses leave the file as it was', async function () {
      home.addHelper('broken', `process.stdout.write(input); process.exit(1)`)
      home.write(FILE, {credsStore: 'broken'})
      const error = await failureOf(saveLogin('r', user('me'), {env: home.env}))
      expect(error.code).to.equal('UNAUTHORIZED')
      expect(JSON.stringify(error) + error.stack).to.not.contain('CANARY')
      expect(read()).to.deep.equal({credsStore: 'broken'})
    })
  })

  it('are forgotten only when they are there', async function () {
    expect(await eraseLogin('r', {env: home.env})).to.be.undefined
    expect(existsSync(home.path(FILE))).to.be.false
    home.write(FILE, {auths: {'r.example': {}}})
    const before = statSync(home.path(FILE)).mtimeMs
    expect(await eraseLogin('r', {env: home.env})).to.be.undefined
    expect(statSync(home.path(FILE)).mtimeMs).to.equal(before)
  })

  for (const content of ['{"auths":{"x":{"auth":"CANARY', '[]', '{"auths":[]}']) {
    it(`do not touch a file that is malformed: ${content.slice(0, 12)}`, async function () {
      const path = home.write(FILE, content)
      for (const attempt of [
        () => saveLogin('r', user('me'), {env: home.env}),
        () => eraseLogin('r', {env: home.env}),
      ]) {
        const error = await failureOf(attempt())
        expect(error.code).to.equal('UNAUTHORIZED')
        expect(error.message).to.contain(path)
        expect(JSON.stringify(error)).to.not.contain('CANARY')
      }

      expect(readFileSync(path, 'utf8')).to.equal(content)
    })
  }

  it('say when the file cannot be written', async function () {
    writeFileSync(home.path('blocked'), '')
    const file = home.path('blocked', 'config.json')
    const error = await failureOf(saveLogin('r', user('me'), {env: home.env, file}))
    expect(error.code).to.equal('IO')
    expect(error.message).to.contain(file)
  })

  it('refuse a user with a colon: it would be read back as another', async function () {
    expect((await failureOf(saveLogin('r', user('a:b'), {env: home.env}))).code).to.equal('UNAUTHORIZED')
    expect(existsSync(home.path(FILE))).to.be.false
  })
})
