import {expect} from 'chai'
import {existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {CONFIG_DESCRIPTOR} from '../../src/kloset/object-manifest.js'
import {cli} from '../helpers/cli.js'
import {GOLDEN_PASSPHRASE, scratchDir} from '../helpers/hooks.js'
import {RepairRig} from '../helpers/repair-rig.js'

interface Document {
  readonly blobs?: Record<string, unknown>
  readonly error?: {readonly code: string; readonly message: string; readonly suggestions: readonly string[]}
  readonly exitCode: number
  readonly inside?: {readonly unreadable: number}
}

async function json(...args: string[]): Promise<Document> {
  return (await cli([...args, '--json'])).json<Document>()
}

/** An image layout without a tag. */
function emptyLayout(): string {
  const path = join(scratchDir('empty'), 'store.oci')
  mkdirSync(join(path, 'blobs/sha256'), {recursive: true})
  writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(join(path, 'index.json'), '{"schemaVersion":2,"manifests":[]}')
  return `oci-layout:${path}`
}

/** A store whose first packfile has lost its bytes. */
function wounded(): {rig: RepairRig; tag: string} {
  const rig = new RepairRig('plaintext')
  const tag = rig.tagsOf('packfiles').find((one) => one.startsWith('packfiles-919bc513'))!
  rig.editBlob(rig.layerOf(tag), () => {})
  return {rig, tag}
}

describe('where there is nothing, or not all of it', function () {
  this.timeout(60_000)

  it('no lock is missed in a store that is not there', async () => {
    const store = emptyLayout()
    for (const command of ['ls', 'explain', 'rm']) {
      const {error, exitCode} = await json('locks', command, store)
      expect([error?.code, exitCode], command).to.deep.equal(['NOT_FOUND', 66])
    }
  })

  it('a store that is gone altogether is copied back, not planned for', async () => {
    const {mirror} = new RepairRig('plaintext')
    const store = emptyLayout()
    const plan = join(scratchDir('plan'), 'plan.json')
    const {error, exitCode} = await json('repair', 'plan', store, '--from', mirror, '-o', plan)
    expect(exitCode).to.equal(66)
    expect(error?.suggestions.join(' ')).to.contain(`copy ${mirror} ${store}`)
    expect(existsSync(plan)).to.equal(false)
  })

  it('a missing CONFIG has a next step, whoever asks for it', async () => {
    const rig = new RepairRig('plaintext')
    rig.forgetTag('CONFIG')
    for (const args of [
      ['du', rig.location],
      ['snapshot', 'ls', rig.location],
      ['get', rig.location, 'config', '-o', join(scratchDir('config'), 'config')],
    ]) {
      const {error, exitCode} = await json(...args)
      expect([error?.code, exitCode], args[0]).to.deep.equal(['NOT_FOUND', 66])
      expect(error?.suggestions.join(' '), args[0]).to.contain('gc-check')
    }
  })

  it('a path behind a colon is told where it belongs', async () => {
    const {mirror} = new RepairRig('plaintext')
    const {error, exitCode} = await json('snapshot', 'stat', mirror, 'latest:text00.txt')
    expect(exitCode).to.equal(64)
    expect(error?.suggestions[0]).to.contain('ID PATH')
  })

  it('a plan without steps leaves nothing behind, and its name to the next one', async () => {
    const {rig} = wounded()
    expect(await json('repair', 'plan', rig.location, '-o', rig.planPath)).to.include({exitCode: 65})
    const {status, stdout} = await cli(['repair', 'apply', rig.planPath])
    expect(stdout).to.contain('nothing to carry out').and.contain('1 object stays lost')
    expect(status).to.equal(0)
    expect(await json('repair', 'apply', rig.planPath, '--yes')).to.include({exitCode: 0})
    expect(await json('repair', 'undo', rig.planPath, '--yes')).to.include({exitCode: 66})
    for (const left of ['journal', 'quarantine']) expect(existsSync(`${rig.planPath}.${left}`), left).to.equal(false)
    const again = await json('repair', 'plan', rig.location, '--from', rig.mirror, '-o', rig.planPath)
    expect(again).to.include({exitCode: 0})
  })

  it('a plan whose repair was refused leaves its name to the next one', async () => {
    const rig = new RepairRig('encrypted')
    const {digest} = rig.entryOf(rig.tagsOf('packfiles')[0]!)
    rig.editBlob(digest, () => {})
    const env = {KLOSET_OCI_PASSPHRASE: GOLDEN_PASSPHRASE}
    const args = ['repair', 'plan', rig.location, '--from', rig.mirror, '-o', rig.planPath]
    expect((await cli(args)).status).to.equal(0)
    expect((await cli(['repair', 'apply', rig.planPath, '--yes'])).status).to.equal(77)
    expect(existsSync(`${rig.planPath}.journal`)).to.equal(false)
    expect((await cli(args, {env})).status).to.equal(0)
    expect((await cli(['repair', 'apply', rig.planPath, '--yes'], {env})).status).to.equal(0)
    expect((await cli(args, {env})).status, 'carried out').to.equal(73)
  })

  it('undoes nothing without the quarantine, and makes no empty one in its place', async () => {
    const {rig} = wounded()
    await json('repair', 'plan', rig.location, '--from', rig.mirror, '-o', rig.planPath)
    expect(await json('repair', 'apply', rig.planPath, '--yes')).to.include({exitCode: 0})
    rmSync(rig.quarantine, {recursive: true})
    const {error, exitCode} = await json('repair', 'undo', rig.planPath, '--yes')
    expect(exitCode).to.equal(66)
    expect(error?.message).to.contain('the quarantine is not there')
    expect(existsSync(rig.quarantine)).to.equal(false)
  })

  it('a store whose CONFIG is lost is damaged, not forbidden, and the next step is a copy of it', async () => {
    const {rig} = wounded()
    rig.editBlob(rig.layerOf('CONFIG'), (bytes) => bytes.subarray(0, 40))
    // Something that can be done without it.
    rig.editBlob(CONFIG_DESCRIPTOR.digest, () => {})
    expect(await json('repair', 'plan', rig.location, '-o', rig.planPath)).to.include({exitCode: 65})
    const {error, exitCode} = await json('repair', 'apply', rig.planPath, '--yes')
    expect([error?.code, exitCode]).to.deep.equal(['DAMAGE', 65])
    expect(error?.suggestions[0]).to.contain('--from')
  })

  it('du calls nothing unreachable while a part of a snapshot cannot be read, and says so', async () => {
    const {rig} = wounded()
    const {blobs, exitCode, inside} = await json('du', rig.location, '--blobs')
    expect([exitCode, inside?.unreadable]).to.deep.equal([65, 1])
    expect(blobs).to.include.keys('broken', 'duplicate', 'padding', 'used')
    expect(blobs).to.not.have.any.keys('unreachable', 'snapshots')
    const people = await cli(['du', rig.location])
    expect(people.stdout).to.match(/not read +1 snapshot or state/)
    expect(people.stderr).to.contain(`kloset-oci gc-check ${rig.location}`)
    rmSync(rig.root, {force: true, recursive: true})
  })

  it('does not call a store whole of which it could not look at all, and says what the passphrase would tell', async () => {
    const rig = new RepairRig('encrypted')
    rig.forgetTag(rig.tagsOf('packfiles')[0]!)
    const blind = await cli(['repair', 'plan', rig.location, '--from', rig.mirror, '-o', rig.planPath])
    expect(blind.stdout).to.contain('nothing to repair in what could be looked at')
    expect(blind.stdout).to.contain('what can be seen from outside: plan again with the passphrase')
    expect(blind.status, 'as gc-check and verify, which see as little').to.equal(0)
    const file = JSON.parse(readFileSync(rig.planPath, 'utf8')) as Record<string, unknown>
    expect(file).to.include({complete: true, partial: true})
    expect(file['notChecked']).to.match(/what states refer to: .*passphrase was not given/)
    expect(blind.stdout).to.match(/1 object lies in the store without a tag: .*passphrase/)
    const env = {KLOSET_OCI_PASSPHRASE: GOLDEN_PASSPHRASE}
    const seen = await cli(['repair', 'plan', rig.location, '-o', rig.planPath], {env})
    expect(seen.stdout).to.contain('1 step:').and.to.not.contain('what could be looked at')
    expect(seen.status).to.equal(0)
    expect(JSON.parse(readFileSync(rig.planPath, 'utf8'))).to.deep.include({
      complete: true,
      notChecked: [],
      partial: false,
    })
  })
})
