import {expect} from 'chai'
import {setImmediate as nextTurn} from 'node:timers/promises'

import {KlosetOciError} from '../../../src/errors.js'
import {tagOf} from '../../../src/kloset/resource.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {copyExitCode} from '../../../src/transfer/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'
import {testMac} from '../../helpers/macs.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {contentsOf, expectWhole, objectsOf} from '../../helpers/store-shape.js'
import {knows, lockOf, packfileOf, stateOf, stateTag, storeWithPackfiles} from '../../helpers/test-store.js'
import {copied} from './copies.js'

const WRITES = /^blobs\.push|^manifests\.(push|tag|untag|delete)|^blobs\.delete/

describe('copy', () => {
  it('makes a store that is the same to the last digest', async () => {
    const {repository} = await storeWithPackfiles(5)
    const target = memoryRepository('target')
    const {statuses, summary} = await copied(repository, target)
    expect(await contentsOf(target)).to.deep.equal(await contentsOf(repository))
    await expectWhole(target, 'the copy')
    expect(new Set(Object.values(statuses))).to.deep.equal(new Set(['copied']))
    expect(summary.complete).to.equal(true)
    expect(copyExitCode(summary)).to.equal(0)
  })

  it('writes CONFIG, then packfiles, then states', async () => {
    const {repository} = await storeWithPackfiles(6)
    const {calls, repository: target} = spyRepository(memoryRepository('target'))
    await copied(repository, target, {concurrency: 8})
    const tags = calls.filter(({name}) => name === 'manifests.push').map(({subject}) => subject.replace(/-.*/, ''))
    expect(tags).to.deep.equal(['CONFIG', ...Array.from({length: 6}, () => 'packfiles'), 'state'])
  })

  it('sends content while CONFIG is on its way, and no tag before CONFIG is there', async () => {
    const {repository} = await storeWithPackfiles(6)
    let tellAll: (() => void) | undefined
    const allSent = new Promise<void>((resolve) => {
      tellAll = resolve
    })
    let sent = 0
    let isThere = false
    const early: string[] = []
    const {repository: target} = spyRepository(memoryRepository('target'), {
      async before({name, subject}) {
        if (name === 'blobs.pushForced' && ++sent === 7) tellAll?.()
        if (name !== 'manifests.push' || isThere) return
        if (subject === 'CONFIG') {
          // That of CONFIG, and those of the packfiles.
          await allSent
          await nextTurn()
          isThere = true
        } else early.push(subject)
      },
    })
    await copied(repository, target, {concurrency: 8})
    expect(early).to.deep.equal([])
    await expectWhole(target, 'the copy')
  })

  it('writes no tag at all when CONFIG cannot be written', async () => {
    const {repository} = await storeWithPackfiles(6)
    const refused = new KlosetOciError('UNREACHABLE', 'no CONFIG today')
    const {calls, repository: target} = spyRepository(memoryRepository('target'), {
      before({name, subject}) {
        if (name === 'manifests.push' && subject === 'CONFIG') throw refused
      },
    })
    expect(await failureOf(copied(repository, target))).to.equal(refused)
    const tags = calls.filter(({name}) => name === 'manifests.push').map(({subject}) => subject)
    expect(new Set(tags)).to.deep.equal(new Set(['CONFIG']))
  })

  it('writes nothing when there is nothing to do', async () => {
    const {repository} = await storeWithPackfiles(3)
    const inner = memoryRepository('target')
    await copied(repository, inner)
    const {calls, repository: target} = spyRepository(inner)
    const {summary} = await copied(repository, target)
    expect(calls.filter(({name}) => WRITES.test(name) && name !== 'blobs.push')).to.deep.equal([])
    expect(summary.counts).to.include({copied: 0, present: 5})
    expect(summary.bytes).to.equal(0)
  })

  it('copies what came since', async () => {
    const {repository, store} = await storeWithPackfiles(2)
    const target = memoryRepository('target')
    await copied(repository, target)
    const later = await packfileOf('later')
    await store.put('packfile', later.mac, bufferSource(later.bytes))
    await store.put('state', testMac(2), bufferSource(await stateOf([knows(later.mac)], 2)))
    const {summary} = await copied(repository, target)
    expect(summary.counts).to.include({copied: 2, present: 4})
    await expectWhole(target, 'the copy')
  })

  it('leaves out a state that came after the packfiles were listed', async () => {
    const {repository, store} = await storeWithPackfiles(2)
    const late = await packfileOf('late')
    const source = spyRepository(repository, {
      async before({name}, count) {
        if (name !== 'tags' || count !== 2) return
        // Between the two lists: the first has no such state, the second the packfile.
        await store.put('packfile', late.mac, bufferSource(late.bytes))
        await store.put('state', testMac(2), bufferSource(await stateOf([knows(late.mac)], 2)))
      },
    })
    const target = memoryRepository('target')
    const {statuses} = await copied(source.repository, target)
    expect(statuses).to.include({[stateTag(1)]: 'copied', [tagOf('packfile', late.mac)]: 'copied'})
    expect(statuses).not.to.have.property(stateTag(2))
  })

  it('writes nothing in a dry run, and says what it would', async () => {
    const {repository} = await storeWithPackfiles(2)
    const {calls, repository: target} = spyRepository(memoryRepository('target'))
    const {statuses, summary} = await copied(repository, target, {dryRun: true})
    expect(calls.filter(({name}) => WRITES.test(name))).to.deep.equal([])
    expect(Object.values(statuses)).to.deep.equal(['would-copy', 'would-copy', 'would-copy', 'would-copy'])
    expect(summary.bytes).to.be.greaterThan(0)
    expect((await copied(repository, undefined, {dryRun: true})).summary.counts).to.include({'would-copy': 4})
  })

  it('leaves locks alone unless they are asked for', async () => {
    const {repository, store} = await storeWithPackfiles(1)
    await store.put('lock', testMac(7), bufferSource(await lockOf(1)))
    const target = memoryRepository('target')
    const {summary} = await copied(repository, target)
    expect(summary.locks).to.equal(1)
    expect(await objectsOf(target)).not.to.have.property(tagOf('lock', testMac(7)))
    await copied(repository, target, {resources: ['lock']})
    expect(await objectsOf(target)).to.have.property(tagOf('lock', testMac(7)))
  })
})
