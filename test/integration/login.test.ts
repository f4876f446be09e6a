import {expect} from 'chai'
import {existsSync, mkdirSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {FakeRegistry, PASSWORD, USER} from '../helpers/fake-registry.js'
import {scratchDir} from '../helpers/hooks.js'

describe('login and logout', () => {
  let fake: FakeRegistry
  let home: string
  let file: string

  beforeEach(async () => {
    fake = await FakeRegistry.start({auth: 'basic'})
    home = scratchDir('home')
    file = join(home, '.docker', 'config.json')
  })

  afterEach(() => fake.stop())

  const login = (registry: string, input = PASSWORD, extra: string[] = []) =>
    cli(['login', registry, '--username', USER, '--password-stdin', ...extra], {env: {HOME: home}, input})

  it('keeps a login that works, for itself and for every other command', async () => {
    const {status, stdout} = await login(fake.host)
    expect([status, stdout]).to.deep.equal([0, `logged in to ${fake.host} as ${USER}\n`])
    if (process.platform !== 'win32') expect(statSync(file).mode % 0o1000).to.equal(0o600)
    const store = `oci://${fake.host}/a/b`
    expect((await cli(['create', store, '--plaintext'], {env: {HOME: home}})).status).to.equal(0)
    expect((await cli(['logout', fake.host], {env: {HOME: home}})).status).to.equal(0)
    expect((await cli(['ls', store], {env: {HOME: home}})).status).to.equal(77)
    expect((await cli(['logout', fake.host], {env: {HOME: home}})).status).to.equal(66)
  })

  it('does not keep one that does not work', async () => {
    const {status, stderr} = await login(fake.host, 'wrong')
    expect(status, stderr).to.equal(77)
    expect(existsSync(file)).to.equal(false)
  })

  it('does not keep one for a registry that is not there', async () => {
    expect((await login('127.0.0.1:1', PASSWORD, ['--retries', '0'])).status).to.equal(69)
    expect(existsSync(file)).to.equal(false)
  })

  it('takes a whole reference for the registry in it', async () => {
    fake.options = {auth: 'bearer'}
    expect((await login(`oci://${fake.host}/some/store`)).status).to.equal(0)
    expect(Object.keys((JSON.parse(readFileSync(file, 'utf8')) as {auths: object}).auths)).to.deep.equal([fake.host])
  })

  it('says when the registry asks nobody for a login', async () => {
    fake.options = {auth: 'none'}
    const {json, status} = await login(fake.host, PASSWORD, ['--json'])
    expect(status).to.equal(0)
    expect(json()).to.include({registry: fake.host, username: USER, verified: false})
  })

  it('cannot ask where there is no terminal, and says what to do', async () => {
    const {status, stderr} = await cli(['login', fake.host, '--username', USER], {env: {HOME: home}})
    expect(status).to.equal(64)
    expect(stderr).to.contain('--password-stdin')
  })

  it('takes the address of the registry, and a file in which nothing is null', async () => {
    mkdirSync(join(home, '.docker'))
    writeFileSync(file, '{"auths":null,"credHelpers":null,"credsStore":null}')
    expect((await login(`http://${fake.host}/`)).status).to.equal(0)
    expect(Object.keys((JSON.parse(readFileSync(file, 'utf8')) as {auths: object}).auths)).to.deep.equal([fake.host])
  })

  it('says when another login goes before the one that it keeps', async () => {
    const {stderr} = await login(fake.host)
    expect(stderr).to.not.contain('goes before')
    const podman = join(home, '.config', 'containers', 'auth.json')
    mkdirSync(dirname(podman), {recursive: true})
    writeFileSync(podman, JSON.stringify({auths: {[fake.host]: {auth: Buffer.from('me:old').toString('base64')}}}))
    expect((await login(fake.host)).stderr).to.contain(`another login goes before this one: ${podman}`)
  })

  for (const command of [['logout'], ['auth', 'explain'], ['login', '--username', USER, '--password-stdin']]) {
    it(`ends at once when it is interrupted while a helper hangs: ${command[0]}`, async function () {
      // A helper may take a minute.
      this.timeout(30_000)
      const bin = join(home, 'bin')
      mkdirSync(bin)
      mkdirSync(join(home, '.docker'))
      writeFileSync(file, '{"credsStore":"slow"}')
      const started = join(home, 'started')
      writeFileSync(join(bin, 'docker-credential-slow'), `#!/bin/sh\necho > ${started}\nexec sleep 50\n`, {mode: 0o755})
      const {status} = await cli([...command, fake.host], {
        env: {HOME: home, PATH: `${bin}:${process.env['PATH']}`},
        input: PASSWORD,
        onSpawn(child) {
          const look = setInterval(() => {
            if (child.exitCode === null && !existsSync(started)) return
            clearInterval(look)
            child.kill('SIGINT')
          }, 10)
        },
      })
      expect(status).to.equal(130)
    })
  }
})
