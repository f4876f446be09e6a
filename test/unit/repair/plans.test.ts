import {expect} from 'chai'
import {readFileSync, writeFileSync} from 'node:fs'

import {collectGcCheck} from '../../../src/checker/index.js'
import {digestOf} from '../../../src/registry/digest.js'
import {decodePlan, encodePlan, planRepair, type RepairPlan} from '../../../src/repair/index.js'
import {flipBit} from '../../helpers/damage.js'
import {failureOf} from '../../helpers/failure.js'
import {LATER, RepairRig} from '../../helpers/repair-rig.js'
import {spyRepository} from '../../helpers/spy-repository.js'

async function damagedRig(): Promise<{plan: RepairPlan; rig: RepairRig; tag: string}> {
  const rig = new RepairRig('plaintext')
  const [tag] = rig.tagsOf('packfiles')
  rig.editBlob(rig.layerOf(tag!), () => {})
  return {plan: await rig.plan([rig.mirror]), rig, tag: tag!}
}

describe('repair plans', function () {
  this.timeout(180_000)

  it('are refused when they were changed by hand, cut short, or are no plans', async () => {
    const {rig} = await damagedRig()
    const sound = readFileSync(rig.planPath, 'utf8')
    const hostile: [string, string][] = [
      [sound.replace('"put-blob"', '"remove-tag"'), 'changed after it was made'],
      [sound.replaceAll('packfiles-', 'state-'), 'changed after it was made'],
      [sound.slice(0, -200), 'cut short'],
      ['', 'cut short'],
      ['[]', 'no JSON object'],
      ['{"schema": "kloset-oci/gc-check/v1"}', 'its schema is'],
      [sound.replace('repair-plan-file/v1', 'repair-plan-file/v2'), 'a version that this program does not know'],
      ['<html></html>', 'cut short'],
    ]
    for (const [text, message] of hostile) {
      writeFileSync(rig.planPath, text)
      const failure = await failureOf(rig.apply())
      expect(failure.message, text.slice(0, 60)).to.contain(message)
    }

    expect(rig.quarantineExists()).to.equal(false)
  })

  it('are read though they were written before they said how far it was looked, but in their notes', async () => {
    const {plan} = await damagedRig()
    const {complete, notChecked, partial, ...old} = plan
    expect([complete, notChecked, partial]).to.deep.equal([true, [], false])
    const inside =
      'MACs, the age of locks and what states refer to: the store is encrypted and its passphrase was not given'
    const storage = 'untagged manifests and unreferenced blobs: a registry does not list them'
    const cases: [string[], {complete: boolean; notChecked: string[]; partial: boolean}][] = [
      [[], {complete: true, notChecked: [], partial: false}],
      [[`Not looked at: ${storage}.`], {complete: true, notChecked: [storage], partial: false}],
      [[`Not looked at: ${inside}.`], {complete: true, notChecked: [inside], partial: true}],
      [
        ['Not seen, so not planned for: state-x: no answer. Run it again when it can be.'],
        {complete: false, notChecked: [], partial: true},
      ],
    ]
    for (const [notes, coverage] of cases) {
      const bytes = encodePlan({...old, notes} as unknown as RepairPlan)
      expect(decodePlan(bytes, 'plan').plan).to.deep.include(coverage)
    }
  })

  it('are refused when they say what no plan says, whatever their sum', async () => {
    const {plan, tag} = await damagedRig()
    const [step] = plan.steps
    const hostile: unknown[] = [
      {...plan, steps: [{...step, tag: 'latest'}]},
      {...plan, steps: [{...step, tag: 'CONFIG'}]},
      {...plan, steps: [{...step, id: 7}]},
      {...plan, steps: [{...step, action: {command: 'rm', kind: 'run'}}]},
      {...plan, steps: [{...step, action: {...step!.action, digest: 'sha256:../../etc/passwd'}}]},
      {...plan, relies: {...plan.relies, [tag]: undefined}},
      {...plan, relies: {...plan.relies, latest: 'absent'}},
      {...plan, sources: []},
      {...plan, partial: undefined},
      {...plan, notChecked: 'nothing'},
      {...plan, created: 'yesterday'},
    ]
    for (const changed of hostile) {
      const bytes = encodePlan(changed as RepairPlan)
      expect(() => decodePlan(bytes, 'plan'), bytes.toString().slice(0, 400)).to.throw('not a repair plan')
    }
  })

  it('are the same after a round trip', async () => {
    const {plan} = await damagedRig()
    expect(decodePlan(encodePlan(plan), 'plan').plan).to.deep.equal(plan)
  })

  it('are refused when the store has changed since, or is another one', async () => {
    const {rig, tag} = await damagedRig()
    await rig.withRepository(async (repository) => {
      const fetched = await repository.manifests.get(tag)
      const bytes = Buffer.from(`${Buffer.from(fetched.bytes).toString()} `)
      await repository.manifests.push({bytes, mediaType: fetched.mediaType}, {tag})
    })
    expect(await failureOf(rig.apply())).to.include({code: 'INVALID_ARGUMENT'})

    const other = await damagedRig()
    const foreign = {...other.plan, store: rig.location}
    writeFileSync(rig.planPath, encodePlan(foreign))
    expect(await failureOf(rig.apply())).to.include({code: 'INVALID_ARGUMENT'})
  })

  it('do no harm when a source has changed since: its copy is judged again', async () => {
    const {rig} = await damagedRig()
    const mirror = new RepairRig('plaintext')
    await rig.plan([mirror.location])
    const [tag] = rig.tagsOf('packfiles')
    mirror.editBlob(mirror.layerOf(tag!), (bytes) => flipBit(bytes, 9999))
    const result = await rig.apply()
    expect(result).to.include({done: 0, failed: 1})
    expect(result.steps[0]!.error!.message).to.contain('damaged copy')
  })

  it('say once which digest the bytes have instead', async () => {
    const rig = new RepairRig('plaintext')
    const [tag] = rig.tagsOf('state')
    let wrong = ''
    rig.editBlob(rig.layerOf(tag!), (bytes) => {
      const flipped = flipBit(bytes, 9999)
      wrong = digestOf(flipped)
      return flipped
    })
    for (const other of rig.tagsOf('packfiles')) rig.editBlob(rig.layerOf(other), () => {})
    const plan = await rig.plan()
    const {reason} = plan.unfixable.find((lost) => lost.tag === tag)!
    expect(reason.split(wrong), reason).to.have.length(2)
  })

  it('ask for the list of tags as often as a check does, when no removal was cut off', async () => {
    const rig = new RepairRig('plaintext')
    await rig.withRepository(async (repository) => {
      const checked = spyRepository(repository)
      await collectGcCheck(checked.repository, {clock: LATER})
      const planned = spyRepository(repository)
      await planRepair(planned.repository, {clock: LATER, deep: false, sources: [], async unlock() {}})
      const lists = ({calls}: typeof planned) => calls.filter(({name}) => name === 'tags').length
      expect(lists(checked)).to.be.greaterThan(0)
      expect(lists(planned)).to.equal(lists(checked))
    })
  })

  it('refuse a quarantine in the store itself', async () => {
    const {rig} = await damagedRig()
    expect(await failureOf(rig.apply({quarantine: rig.location}))).to.include({code: 'INVALID_ARGUMENT'})
  })

  it('refuse a journal of another plan, and drop a line that a crash cut off', async () => {
    const {rig} = await damagedRig()
    await rig.apply()
    const journal = `${rig.planPath}.journal`
    const text = readFileSync(journal, 'utf8')
    writeFileSync(journal, `${text}{"event":"be`)
    expect((await rig.apply()).steps[0]).to.include({status: 'before'})
    writeFileSync(journal, text.replace(/"id":"[\da-f]{8}/, '"id":"00000000'))
    expect(await failureOf(rig.apply())).to.include({code: 'STORE_FORMAT'})
    writeFileSync(journal, text.replace('"event":"done"', '"event":"dine"'))
    expect(await failureOf(rig.apply())).to.include({code: 'STORE_FORMAT'})
  })
})
