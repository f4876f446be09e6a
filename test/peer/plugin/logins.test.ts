import {expect} from 'chai'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {Authority} from '../../helpers/certificates.js'
import {type CliServer, cliServer} from '../../helpers/cli-server.js'
import {scratchDir} from '../../helpers/hooks.js'
import {needPlakar, plakarWithOurs, stopPlakars} from '../../helpers/plakar-rig.js'
import {writeTree} from '../../helpers/tree.js'

const PASSWORD = 'canary-Qx7'

describe('our plugin with a registry that asks for a login, over TLS of a private authority', function () {
  this.timeout(120_000)
  let authority: Authority
  let host: string
  let server: CliServer
  let source: string

  before(async () => {
    authority = await Authority.make()
  })

  beforeEach(async () => {
    source = scratchDir('source')
    writeTree(source)
    const {certFile, keyFile} = await authority.issue(['127.0.0.1'])
    const users = join(scratchDir('users'), 'users')
    writeFileSync(users, `me:${PASSWORD}\n`, {mode: 0o600})
    const tls = ['--tls-cert', certFile, '--tls-key', keyFile]
    server = await cliServer([scratchDir('served'), '--users', users, '--auth', 'bearer', ...tls])
    host = new URL(server.url).host
  })

  afterEach(async () => {
    await stopPlakars()
    await server.stop()
  })

  it('takes a login from the credential file of docker', async function () {
    const plakar = await plakarWithOurs(needPlakar(this))
    mkdirSync(join(plakar.home, '.docker'))
    const auth = Buffer.from(`me:${PASSWORD}`).toString('base64')
    writeFileSync(join(plakar.home, '.docker/config.json'), JSON.stringify({auths: {[host]: {auth}}}))
    const tls = [`ca_file=${authority.own.certFile}`, 'use_tls=true']
    await plakar.ok('store', 'add', 'safe', `oci://${host}/org/store`, ...tls)
    await plakar.create('@safe')
    const snapshot = await plakar.backup('@safe', source)
    await plakar.check('@safe')
    await plakar.restore('@safe', snapshot, source)
  })

  it("takes a login from plakar's configuration, and tells nobody the password", async function () {
    const plakar = await plakarWithOurs(needPlakar(this))
    const options = [`ca_file=${authority.own.certFile}`, 'use_tls=true', 'username=me']
    const location = `oci://${host}/org/store`
    await plakar.ok('store', 'add', 'right', location, ...options, `password=${PASSWORD}`)
    await plakar.create('@right')
    const snapshot = await plakar.backup('@right', source)
    await plakar.restore('@right', snapshot, source)

    const cases: [string, string[], RegExp][] = [
      ['wrong', [...options, `password=${PASSWORD}2`], /401|unauthori[sz]ed|login|credential/i],
      ['anonymous', options.slice(0, 2), /401|unauthori[sz]ed|login|credential/i],
      ['untrusted', ['use_tls=true', 'username=me', `password=${PASSWORD}`], /certificate/i],
      ['plain', ['insecure=true', 'username=me', `password=${PASSWORD}`], /https|TLS|400|hang up/i],
      ['mistyped', [...options, `passwort=${PASSWORD}`], /unknown option "passwort": did you mean password\?/],
    ]
    for (const [name, more, says] of cases) {
      await plakar.ok('store', 'add', name, location, ...more)
      const {status, stderr, stdout} = await plakar.run('at', `@${name}`, 'ls')
      expect(status, name).not.to.equal(0)
      expect(stdout + stderr, name)
        .to.match(says)
        .and.not.to.contain(PASSWORD)
    }
  })
})
