import {expect} from 'chai'
import {existsSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {GOLDEN_PASSPHRASE, goldenCopy, scratchDir} from '../helpers/hooks.js'

describe('encrypted stores', () => {
  const passphrase = 'canary correct horse'

  it('are made with a passphrase, and opened with it alone', async () => {
    const dir = scratchDir('encrypted')
    const store = `oci-layout:${join(dir, 'store.oci')}`
    writeFileSync(join(dir, 'key'), `${passphrase}\n`)
    const made = await cli(['create', store, '--passphrase-file', join(dir, 'key'), '--json'])
    expect(made.status, made.stdout).to.equal(0)
    expect(made.json()).to.include({encryption: 'AES256-GCM-SIV'})
    expect(made.stdout + made.stderr).not.to.contain(passphrase)
    const check = async (env: Record<string, string>) => cli(['gc-check', store, '--deep', '--json'], {env})
    const right = await check({PLAKAR_PASSPHRASE: passphrase})
    expect(right.json<{notChecked: string[]; verdict: string}>()).to.include({verdict: 'clean'})
    expect(right.json<{notChecked: string[]}>().notChecked.join(' ')).not.to.contain('passphrase')
    const without = await check({})
    expect(without.status).to.equal(0)
    expect(without.json<{notChecked: string[]}>().notChecked.join(' ')).to.contain('passphrase')
    const wrong = await check({PLAKAR_PASSPHRASE: 'wrong'})
    expect([wrong.status, wrong.json<{error: {code: string}}>().error.code]).to.deep.equal([77, 'UNAUTHORIZED'])
  })

  it('of plakar are checked with its passphrase', async () => {
    const store = `oci-layout:${goldenCopy('encrypted-sha256')}`
    const {json, status} = await cli(['gc-check', store, '--deep', '--json', '--passphrase-file', '-'], {
      input: `${GOLDEN_PASSPHRASE}\n`,
    })
    expect(status).to.equal(0)
    expect(json()).to.include({verdict: 'clean'})
  })

  it('are not made where the passphrase is empty or its file is not there', async () => {
    const dir = scratchDir('encrypted')
    const store = `oci-layout:${join(dir, 'store.oci')}`
    writeFileSync(join(dir, 'empty'), '\n')
    expect((await cli(['create', store, '--passphrase-file', join(dir, 'empty')])).status).to.equal(64)
    expect((await cli(['create', store, '--passphrase-file', join(dir, 'nowhere')])).status).to.equal(1)
    expect((await cli(['create', store, '--plaintext', '--passphrase-file', join(dir, 'empty')])).status).to.equal(2)
    expect(existsSync(join(dir, 'store.oci'))).to.equal(false)
  })
})
