import {expect} from 'chai'
import {existsSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {openConfiguration} from '../../src/kloset/configuration.js'
import {KlosetStore} from '../../src/kloset/store.js'
import {openRepository} from '../../src/registry/open.js'
import {cli} from '../helpers/cli.js'
import {flipBit} from '../helpers/damage.js'
import {GOLDEN_PASSPHRASE, goldenCopy, scratchDir} from '../helpers/hooks.js'
import {RepairRig} from '../helpers/repair-rig.js'

/** A command with a passphrase in the environment. */
async function run(args: readonly string[], phrase: string) {
  return cli([...args, '--json'], {env: {PLAKAR_PASSPHRASE: phrase}})
}

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

  it('tell a CONFIG whose canary is damaged from a wrong passphrase', async () => {
    const rig = new RepairRig('encrypted')
    const {canary} = (await openConfiguration(readFileSync(rig.pathOf(rig.layerOf('CONFIG'))))).encryption!
    const path = rig.pathOf(rig.layerOf('CONFIG'))
    const whole = readFileSync(path)
    // With a digest that agrees: nothing but the key can tell.
    const repository = await openRepository(rig.location, {durable: false})
    await repository.manifests.untag('CONFIG')
    await new KlosetStore(repository).putConfig(flipBit(whole, 8 * (whole.indexOf(canary) + 50)))
    await repository.close()
    const damaged = await run(['verify', rig.location], GOLDEN_PASSPHRASE)
    expect(damaged.status, damaged.stdout).to.equal(65)
    const {findings} = damaged.json<{findings: {kind: string; tag: string}[]}>()
    expect(findings.map(({kind, tag}) => [kind, tag])).to.deep.equal([['config-unreadable', 'CONFIG']])
    expect((await run(['gc-check', rig.location], GOLDEN_PASSPHRASE)).status).to.equal(65)
    const listed = await run(['snapshot', 'ls', rig.location], GOLDEN_PASSPHRASE)
    expect(listed.status, listed.stdout).to.equal(65)
    expect(listed.stdout).to.contain('CONFIG')

    const wrong = await run(['verify', rig.location], 'not this one')
    expect(wrong.status).to.equal(77)
    const {message} = wrong.json<{error: {message: string}}>().error
    expect(message).to.contain('passphrase').and.to.contain('CONFIG')
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
