import {expect} from 'chai'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {scratchDir} from '../helpers/hooks.js'

describe('auth explain', () => {
  it('says which login would be used and from where, and prints no secret', async () => {
    const home = scratchDir('home')
    const file = join(home, '.docker', 'config.json')
    mkdirSync(join(home, '.docker'))
    const auth = Buffer.from('operator:hunter2secret').toString('base64')
    writeFileSync(file, JSON.stringify({auths: {'registry.example': {auth}}}))
    const env = {HOME: home}
    const found = await cli(['auth', 'explain', 'registry.example'], {env})
    expect([found.status, found.stderr]).to.deep.equal([0, ''])
    expect(found.stdout).to.contain(`user operator, from ${file}`)
    expect(found.stdout)
      .not.to.match(/hunter2secret/)
      .and.not.to.contain(auth)
    const json = await cli(['auth', 'explain', 'oci://registry.example/a/b', '--json'], {env})
    expect(json.json()).to.deep.include({
      found: true,
      kind: 'basic',
      registry: 'registry.example',
      username: 'operator',
    })
    expect(json.stdout).not.to.match(/hunter2secret/)
    const none = await cli(['auth', 'explain', 'other.example'], {env})
    expect(none.stdout).to.contain('no login').and.to.contain('kloset-oci login other.example')
    const slashed = await cli(['auth', 'explain', 'https://other.example/'], {env})
    expect(slashed.stdout, 'as an address is copied').to.equal(none.stdout)
    const given = {...env, KLOSET_OCI_TOKEN: 'a-very-secret-token'}
    const token = await cli(['auth', 'explain', 'other.example'], {env: given})
    expect(token.stdout).to.contain('registry-token, from the environment').and.not.to.contain('a-very-secret')
  })
})
