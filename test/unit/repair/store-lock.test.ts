import {expect} from 'chai'

import {type Mac} from '../../../src/kloset/mac.js'
import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {failureOf} from '../../helpers/failure.js'
import {testMac} from '../../helpers/macs.js'
import {LATER, RepairRig} from '../../helpers/repair-rig.js'

async function damagedRig(name: 'encrypted' | 'plaintext' = 'plaintext'): Promise<RepairRig> {
  const rig = new RepairRig(name)
  rig.editBlob(rig.layerOf(rig.tagsOf('packfiles')[0]!), () => {})
  return rig
}

async function locksOf(rig: RepairRig): Promise<Mac[]> {
  return rig.withRepository(async (repository) => {
    const macs: Mac[] = []
    for await (const mac of new KlosetStore(repository).list('lock')) macs.push(mac)
    return macs
  })
}

const unlock = async () => undefined // eslint-disable-line unicorn/no-useless-undefined -- no passphrase

describe('repair and locks', function () {
  this.timeout(120_000)

  it('is refused while plakar backs up, and goes on when that is over', async () => {
    const rig = await damagedRig()
    await rig.plan([rig.mirror])
    await rig.putLock(testMac(1), {minutesAgo: 1})
    const failure = await failureOf(rig.apply())
    expect(failure).to.include({code: 'LOCKED'})
    expect(failure.message).to.contain('backup-host (shared)')
    expect(await locksOf(rig)).to.deep.equal([testMac(1)])
    await rig.withRepository(async (repository) => new KlosetStore(repository).delete('lock', testMac(1)))
    expect(await rig.apply()).to.include({done: 1, failed: 0})
    expect(await locksOf(rig)).to.deep.equal([])
  })

  it('waits for another to let go when it is told to', async () => {
    const rig = await damagedRig()
    await rig.plan([rig.mirror])
    await rig.putLock(testMac(1), {})
    let passed = 0
    const clock = {
      now: () => LATER.now() + passed,
      async sleep(milliseconds: number) {
        passed += milliseconds
        if (passed < 20_000) return
        await rig.withRepository(async (repository) =>
          new KlosetStore(repository).delete('lock', testMac(1)).catch(() => {}),
        )
      },
    }
    expect(await rig.apply({clock, lockWaitMs: 60_000})).to.include({done: 1, failed: 0})
    expect(passed).to.be.within(20_000, 60_000)
  })

  it('takes stale locks away, as its last step, and can put them back', async () => {
    const rig = await damagedRig()
    await rig.putLock(testMac(1), {exclusive: true, minutesAgo: 30})
    const plan = await rig.plan([rig.mirror])
    expect(plan.steps.map(({action}) => action.kind)).to.deep.equal(['put-blob', 'remove-tag'])
    expect(await rig.apply()).to.include({failed: 0})
    expect(await locksOf(rig)).to.deep.equal([])
    expect(await rig.undo()).to.include({failed: 0, undone: 1})
    expect(await locksOf(rig)).to.deep.equal([testMac(1)])
  })

  it('leaves a fresh lock alone that is damaged, and takes an old one away', async () => {
    for (const [minutesAgo, kinds] of [
      [1, []],
      [30, ['remove-tag']],
    ] as const) {
      const rig = new RepairRig('plaintext')
      await rig.putLock(testMac(1), {minutesAgo})
      rig.editBlob(rig.layerOf(tagOf('lock', testMac(1))), (bytes) => bytes.subarray(0, 20))
      const plan = await rig.plan()
      expect(plan.steps.map(({action}) => action.kind)).to.deep.equal(kinds)
      expect(plan.unfixable).to.have.length(1 - kinds.length)
    }
  })

  it('lets one of two repairs at once do the work, and loses nothing', async () => {
    const rig = await damagedRig()
    await rig.plan([rig.mirror])
    const results = await Promise.allSettled([rig.apply(), rig.apply()])
    const done = results.filter(({status}) => status === 'fulfilled')
    expect(done).to.have.length(1)
    const refused = results.find((result) => result.status === 'rejected')
    expect(refused!.reason).to.include({code: 'LOCKED'})
    expect((await rig.check()).summary.verdict).to.equal('clean')
  })

  it('locks an encrypted store with its passphrase, and without it only when told that it need not', async () => {
    const rig = await damagedRig('encrypted')
    const plan = await rig.plan([rig.mirror], {unlock})
    expect(plan.steps[0]!.action).to.deep.include({kind: 'put-blob'})
    expect(JSON.stringify(plan.steps)).to.contain('"proof":"digest"')
    expect(await failureOf(rig.apply({unlock}))).to.include({code: 'UNAUTHORIZED'})
    expect(await rig.apply({lock: false, unlock})).to.include({done: 1, failed: 0})
    expect((await rig.check()).summary.verdict).to.equal('clean')
  })

  it('repairs an encrypted store with its passphrase, states made anew among it', async () => {
    const rig = await damagedRig('encrypted')
    for (const tag of rig.tagsOf('state')) rig.editBlob(rig.layerOf(tag), () => {})
    const plan = await rig.plan([rig.mirror])
    expect(plan.steps.map(({action}) => action.kind)).to.deep.equal(['put-blob', 'put-blob', 'put-blob'])
    expect(await rig.apply()).to.include({done: 3, failed: 0})
    expect((await rig.verify()).summary.verdict).to.equal('clean')
  })
})
