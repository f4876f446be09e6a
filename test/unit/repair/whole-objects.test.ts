import {expect} from 'chai'
import {cpSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import {flipBit} from '../../helpers/damage.js'
import {scratchDir} from '../../helpers/hooks.js'
import {RepairRig} from '../../helpers/repair-rig.js'
import {layOutFiles} from '../../helpers/repair-sources.js'

async function repaired(rig: RepairRig): Promise<void> {
  const result = await rig.apply()
  expect(result.failed, JSON.stringify(result.steps)).to.equal(0)
  const {findings, summary} = await rig.check()
  expect(summary.verdict, JSON.stringify(findings)).to.equal('clean')
}

describe('repair of whole objects', function () {
  this.timeout(180_000)

  it('puts a missing blob back under the manifest that names it', async () => {
    const rig = new RepairRig('plaintext')
    const [tag] = rig.tagsOf('packfiles')
    const manifest = rig.entryOf(tag!).digest
    rig.editBlob(rig.layerOf(tag!), () => {})
    const plan = await rig.plan([rig.mirror])
    expect(plan.steps.map(({action, tag: of}) => [action.kind, of])).to.deep.equal([['put-blob', tag]])
    await repaired(rig)
    expect(rig.entryOf(tag!).digest).to.equal(manifest)
  })

  it('puts sound bytes in the place of damaged ones, and keeps those', async () => {
    const rig = new RepairRig('plaintext')
    const [tag] = rig.tagsOf('packfiles')
    const layer = rig.layerOf(tag!)
    rig.editBlob(layer, (bytes) => flipBit(bytes, 12_345))
    const damaged = readFileSync(rig.pathOf(layer))
    const plan = await rig.plan([rig.mirror])
    expect(plan.steps[0]!.action).to.include({force: true, kind: 'put-blob'})
    await repaired(rig)
    expect(rig.keeps(damaged)).to.equal(true)
  })

  it('writes an object again whose tag, manifest and bytes have gone', async () => {
    for (const kind of ['packfiles', 'state'] as const) {
      const rig = new RepairRig('plaintext')
      const [tag] = rig.tagsOf(kind)
      const layer = rig.layerOf(tag!)
      const {digest} = rig.entryOf(tag!)
      rig.editBlob(layer, () => {})
      rig.editBlob(digest, () => {})
      rig.editIndex((entries) => entries.filter((entry) => entry.digest !== digest))
      const plan = await rig.plan([rig.mirror])
      expect(
        plan.steps.map(({action}) => action.kind),
        kind,
      ).to.deep.equal(['put-object'])
      await repaired(rig)
    }
  })

  it('finds objects among loose files, whatever they are called', async () => {
    for (const named of [true, false]) {
      const rig = new RepairRig('plaintext')
      for (const tag of ['CONFIG', rig.tagsOf('packfiles')[0]!, rig.tagsOf('state')[0]!]) {
        rig.editBlob(rig.layerOf(tag), () => {})
      }

      const plan = await rig.plan([layOutFiles('plaintext', {named})])
      expect(plan.steps.map(({action}) => action.kind)).to.deep.equal(['put-blob', 'put-blob', 'put-blob'])
      await repaired(rig)
    }
  })

  it('takes CONFIG from a saved copy', async () => {
    const rig = new RepairRig('plaintext')
    const saved = join(scratchDir('saved'), 'config-of-main')
    cpSync(rig.pathOf(rig.layerOf('CONFIG')), saved)
    const {digest} = rig.entryOf('CONFIG')
    rig.editBlob(rig.layerOf('CONFIG'), () => {})
    rig.editBlob(digest, () => {})
    rig.editIndex((entries) => entries.filter((entry) => entry.digest !== digest))
    const plan = await rig.plan([saved])
    expect(plan.steps.map(({action, tag}) => [action.kind, tag])).to.deep.equal([['put-object', 'CONFIG']])
    await repaired(rig)
  })

  it('says of a snapshot whose header is lost that all of it is', async () => {
    const rig = new RepairRig('plaintext')
    const tag = rig.tagsOf('packfiles').find((one) => one.startsWith('packfiles-919bc513'))!
    // The middle of this one is a snapshot's header.
    rig.editBlob(rig.layerOf(tag), (bytes) => flipBit(bytes, 8 * Math.floor(bytes.length / 2)))
    const {unfixable} = await rig.plan([])
    expect(unfixable.map(({paths, snapshots}) => [snapshots.length, paths.map(({path}) => path)])).to.deep.equal([
      [1, ['(all of it: its header cannot be read)']],
    ])
  })

  it('undoes what it has done', async () => {
    const rig = new RepairRig('plaintext')
    const [tag] = rig.tagsOf('packfiles')
    const {digest} = rig.entryOf(tag!)
    rig.editIndex((entries) => entries.filter((entry) => entry.digest !== digest))
    await rig.plan([rig.mirror])
    await repaired(rig)
    const result = await rig.undo()
    expect(result).to.include({failed: 0, undone: 1})
    expect(rig.entryOf(tag!)).to.equal(undefined)
    await repaired(rig)
  })
})
