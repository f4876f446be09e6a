import {expect} from 'chai'

import type {PlanProgress} from '../../../src/repair/index.js'

import {RepairRig} from '../../helpers/repair-rig.js'

/** What the two backups of the golden store `plaintext` wrote. */
const FIRST = {
  packfiles: [
    'packfiles-063c621694c674844ed5033c4542d59f4f29929c1c81fdc93bc1bd8146d763a6',
    'packfiles-919bc5138a3d4c45515e007208f0069581af8fb065c02a2bb2cc5b104f373206',
  ],
  state: 'state-21fa624f77a811571089fc0c3c544877eb10ed532a7b8fee88880d2b5cbbd6e1',
}
const SECOND = {
  packfiles: [
    'packfiles-21a3fd29d187c8dce2dbe915cc84413a9ca80ef8d05994f76e248fef5f2abe4e',
    'packfiles-c4a2a66bd2650c5083249721bfc232d0406790bcd3f9680c34373562c3db910a',
  ],
  state: 'state-f1ce91a67a94491543bfe39ea83c48a41b5af078ca08139d81c837041219f587',
}

/** Takes a tag, its manifest and its bytes away. */
function lose(rig: RepairRig, tag: string): void {
  const layer = rig.layerOf(tag)
  const {digest} = rig.entryOf(tag)
  rig.forgetTag(tag)
  for (const one of [layer, digest]) rig.editBlob(one, () => {})
}

/** The snapshots that a plan gives up, which must be those that are damaged when it was carried out. */
async function lostInBoth(rig: RepairRig): Promise<readonly string[]> {
  const plan = await rig.plan()
  const planned = new Set<string>()
  for (const {snapshots} of plan.unfixable) {
    expect(snapshots).to.not.equal('unknown')
    for (const id of snapshots) planned.add(id)
  }

  await rig.apply()
  const {summary} = await rig.verify()
  expect([...planned].sort()).to.deep.equal([...(summary.snapshots?.damaged ?? [])].sort())
  return [...planned]
}

/** The first backup is gone without a trace: the second one shares nearly all of its files. */
function withoutFirst(): RepairRig {
  const rig = new RepairRig('plaintext')
  for (const tag of [FIRST.state, ...FIRST.packfiles]) lose(rig, tag)
  return rig
}

describe('repair of a state and its packfiles together', function () {
  this.timeout(180_000)

  it('says what is lost when nothing tells any more what a lost packfile held', async () => {
    const rig = new RepairRig('plaintext')
    rig.editBlob(rig.layerOf(FIRST.state), () => {})
    lose(rig, FIRST.packfiles[0]!)
    expect(await lostInBoth(rig)).to.have.length(2)
  })

  it('does the same when that packfile has its tag, and not its index', async () => {
    const rig = new RepairRig('plaintext')
    rig.editBlob(rig.layerOf(FIRST.state), () => {})
    rig.editBlob(rig.layerOf(FIRST.packfiles[0]!), (bytes) => bytes.subarray(0, bytes.length / 2))
    expect(await lostInBoth(rig)).to.have.length(2)
  })

  it('counts snapshots that only the lost state had listed', async () => {
    const rig = new RepairRig('plaintext')
    lose(rig, SECOND.state)
    rig.editBlob(rig.layerOf(FIRST.packfiles[0]!), () => {})
    expect(await lostInBoth(rig)).to.have.length(2)
  })

  it('takes packfiles back that lost their tags, when the state that knew them is lost', async () => {
    for (const tag of FIRST.packfiles) {
      const rig = new RepairRig('plaintext')
      rig.editBlob(rig.layerOf(FIRST.state), () => {})
      rig.forgetTag(tag)
      const plan = await rig.plan()
      expect(plan.unfixable, tag).to.deep.equal([])
      expect(plan.steps.map((step) => step.tag)).to.have.members([tag, FIRST.state])
      await rig.apply()
      expect((await rig.verify()).findings.filter(({severity}) => severity === 'error')).to.deep.equal([])
    }
  })

  it('brings back a state and its packfiles that left no trace, from a mirror, when a snapshot needs them', async () => {
    const rig = withoutFirst()
    expect((await rig.check()).findings.filter(({severity}) => severity === 'error')).to.deep.equal([])
    const gone: number[] = []
    const onProgress = ({phase, snapshots}: PlanProgress) => {
      if (phase === 'snapshots') gone.push(snapshots!)
    }

    const plan = await rig.plan([rig.mirror], {onProgress})
    expect(plan.unfixable).to.deep.equal([])
    expect(plan.steps.map((step) => step.tag)).to.deep.equal([...FIRST.packfiles, FIRST.state])
    // The second one alone, then both.
    expect(gone).to.deep.equal([1, 1, 2])
    await rig.apply()
    expect((await rig.verify()).findings.filter(({severity}) => severity === 'error')).to.deep.equal([])
  })

  it('says what such a loss costs when nobody has it, or only the state', async () => {
    const rig = withoutFirst()
    for (const sources of [[], [new RepairRig('encrypted').mirror], [withoutFirst().location]]) {
      const plan = await rig.plan(sources)
      expect(plan.steps).to.deep.equal([])
      const [lost, ...more] = plan.unfixable
      expect(more).to.deep.equal([])
      expect(lost!.snapshots).to.deep.equal([SECOND.state.slice(6)])
      expect(lost!.paths.map(({path}) => path)).to.include('/tmp/fx/src/dir/text03.txt')
    }

    const mirror = new RepairRig('plaintext')
    for (const tag of FIRST.packfiles) lose(mirror, tag)
    const plan = await rig.plan([mirror.location])
    expect(plan.steps).to.deep.equal([])
    expect(plan.unfixable).to.have.length(1)
    // Presence alone does not show it.
    expect((await rig.plan([], {deep: false})).unfixable).to.deep.equal([])
    expect(await lostInBoth(rig)).to.have.length(1)
  })

  it('leaves a state of a mirror alone that no snapshot needs', async () => {
    const rig = new RepairRig('plaintext')
    for (const tag of [SECOND.state, ...SECOND.packfiles]) lose(rig, tag)
    expect((await rig.plan([rig.mirror])).steps).to.deep.equal([])
  })

  it('looks again for what the state of a mirror tells of', async () => {
    for (const tag of SECOND.packfiles) {
      const rig = new RepairRig('plaintext')
      lose(rig, SECOND.state)
      rig.forgetTag(tag)
      const plan = await rig.plan([rig.mirror])
      expect(plan.unfixable, tag).to.deep.equal([])
      await rig.apply()
      expect((await rig.verify()).findings.filter(({severity}) => severity === 'error')).to.deep.equal([])
    }
  })
})
