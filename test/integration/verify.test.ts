import {expect} from 'chai'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Finding} from '../../src/checker/findings.js'

import {type Tier, TIERS} from '../../src/checker/verify/tier.js'
import {type Mac} from '../../src/kloset/mac.js'
import {KlosetStore} from '../../src/kloset/store.js'
import {openRepository} from '../../src/registry/open.js'
import {bufferSource} from '../../src/util/content-source.js'
import {cli, type CliResult} from '../helpers/cli.js'
import {flipBit} from '../helpers/damage.js'
import {GOLDEN_PASSPHRASE, scratchDir} from '../helpers/hooks.js'
import {seeded} from '../helpers/random.js'
import {RepairRig} from '../helpers/repair-rig.js'

interface Document {
  readonly exitCode: number
  readonly findings: readonly Finding[]
  readonly snapshots?: unknown
  readonly tier: Tier
  readonly verdict: string
}

async function verify(rig: RepairRig, tier: Tier): Promise<{document: Document; result: CliResult}> {
  const env = {PLAKAR_PASSPHRASE: rig.name.startsWith('encrypted') ? GOLDEN_PASSPHRASE : undefined}
  const result = await cli(['verify', rig.location, '--tier', tier, '--json'], {env})
  return {document: result.json<Document>(), result}
}

/** The same tag with other bytes, pushed as somebody would who has no idea. */
async function pushAgain(rig: RepairRig, tag: string, bytes: Buffer): Promise<void> {
  const repository = await openRepository(rig.location, {durable: false})
  await repository.manifests.untag(tag)
  await new KlosetStore(repository).put('packfile', tag.slice(10) as Mac, bufferSource(bytes))
  await repository.close()
}

describe('verify as a command', function () {
  this.timeout(120_000)

  // Each look at an encrypted store takes the second that its passphrase does.
  for (const [name, clean, damaged] of [
    ['plaintext', TIERS, TIERS],
    ['encrypted', ['data'], ['mac']],
  ] as const) {
    it(`ends with 65 and names the object for damage in ${name}, by the tier that sees it, and with 0 for none`, async () => {
      const rig = new RepairRig(name)
      const draw = seeded(7)
      const [rotten, pushed] = rig.tagsOf('packfiles') as [string, string]
      const path = rig.pathOf(rig.layerOf(pushed))
      const whole = readFileSync(path)
      for (const tier of clean) {
        const {document, result} = await verify(rig, tier)
        expect(result.status, result.stderr).to.equal(0)
        expect(document).to.deep.include({exitCode: 0, findings: [], tier, verdict: 'clean'})
        expect(document.snapshots, tier).to.deep.equal(tier === 'digest' ? undefined : {damaged: [], total: 2})
      }

      await pushAgain(rig, pushed, flipBit(whole, draw.below(whole.length * 8)))
      for (const tier of damaged) {
        const {document, result} = await verify(rig, tier)
        // The digest agrees with the damage: only the store's own MACs do not.
        expect(result.status, tier).to.equal(tier === 'digest' ? 0 : 65)
        const named = document.findings.filter(({kind}) => kind === 'mac-mismatch').map(({tag}) => tag)
        expect(named, tier).to.deep.equal(tier === 'digest' ? [] : [pushed])
      }

      await pushAgain(rig, pushed, whole)
      rig.editBlob(rig.layerOf(rotten), (bytes) => flipBit(bytes, draw.below(bytes.length * 8)))
      const {document, result} = await verify(rig, 'digest')
      expect(result.status).to.equal(65)
      expect(document.findings.map(({kind, tag}) => [kind, tag])).to.deep.equal([['digest-mismatch', rotten]])
    })
  }

  it('names with 65 what the ledger knew and is gone without a trace, until that is accepted', async () => {
    const rig = new RepairRig('plaintext')
    const ledger = join(scratchDir('verify'), 'main.ledger')
    const nightly = async (...args: string[]) => cli(['verify', rig.location, '--resume', ledger, ...args])
    expect((await nightly()).status).to.equal(0)
    // All that the store has but its CONFIG: what is left is an empty store, and a sound one.
    const gone = [...rig.tagsOf('state'), ...rig.tagsOf('packfiles')]
    for (const tag of gone) rig.forgetTag(tag)
    const check = await cli(['gc-check', rig.location])
    expect(check.status, check.stdout).to.equal(0)

    const told = await nightly()
    expect(told.status, told.stderr).to.equal(65)
    for (const tag of gone) expect(told.stdout).to.match(new RegExp(`object-gone .*${tag}`))
    expect(told.stdout).to.contain(`${gone.length} objects have gone since`).and.to.contain('--accept-gone')
    const document = (await nightly('--json')).json<{exitCode: number; ledger: {gone: number}}>()
    expect([document.exitCode, document.ledger.gone]).to.deep.equal([65, gone.length])
    expect((await nightly('--accept-gone')).status).to.equal(0)
    expect((await nightly()).status).to.equal(0)
    expect((await cli(['verify', rig.location, '--accept-gone'])).status).to.equal(2)
  })
})
