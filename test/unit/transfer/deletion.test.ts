import {expect} from 'chai'

import type {Repository} from '../../../src/registry/interfaces.js'

import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {copyStore, deleteTargetOnly, type DeletionOutcome, type TargetLocks} from '../../../src/transfer/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'
import {testMac} from '../../helpers/macs.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {contentsOf} from '../../helpers/store-shape.js'
import {lockOf, stateTag, storeWithPackfiles} from '../../helpers/test-store.js'

async function copyAndDelete(from: Repository, to: Repository, apply = true): Promise<DeletionOutcome[]> {
  const copy = copyStore(from, to)
  const bad: string[] = []
  for await (const {failure, tag} of copy) if (failure) bad.push(tag)
  expect(bad).to.have.length.below(2)
  const outcomes: DeletionOutcome[] = []
  const options = {apply, resources: ['packfile', 'state']} as const
  for await (const outcome of deleteTargetOnly(copy, from, to, options)) outcomes.push(outcome)
  return outcomes
}

async function copies() {
  const made = await storeWithPackfiles(3)
  const target = memoryRepository('target')
  for await (const {failure} of copyStore(made.repository, target)) expect(failure).to.equal(undefined)
  return {...made, target}
}

describe('deletion after a copy', () => {
  it('removes states before packfiles, and nothing that the source has', async () => {
    const {packfiles, repository, store, target} = await copies()
    await store.put('state', testMac(2), bufferSource(Buffer.from('stays')))
    await store.delete('state', testMac(1))
    await store.delete('packfile', packfiles[1]!)
    await target.manifests.tag(await target.manifests.resolve('CONFIG'), 'foreign')
    const gone = [stateTag(1), tagOf('packfile', packfiles[1]!)]
    const planned = await copyAndDelete(repository, target, false)
    expect(planned.map(({status, tag}) => [status, tag])).to.deep.equal(gone.map((tag) => ['would-delete', tag]))
    const done = await copyAndDelete(repository, target)
    expect(done.map(({status, tag}) => [status, tag])).to.deep.equal(gone.map((tag) => ['deleted', tag]))
    const {foreign, ...contents} = await contentsOf(target)
    expect(foreign).not.to.equal(undefined)
    expect(contents).to.deep.equal(await contentsOf(repository))
  })

  it('is refused after a copy that was not complete', async () => {
    const {packfiles, repository, store, target} = await copies()
    await store.delete('packfile', packfiles[0]!)
    const {digest} = await store.stat('packfile', packfiles[1]!)
    await repository.blobs.delete(digest)
    await new KlosetStore(target).delete('packfile', packfiles[1]!)
    expect((await failureOf(copyAndDelete(repository, target))).code).to.equal('PARTIAL')
    expect(await contentsOf(target)).to.have.property(tagOf('packfile', packfiles[0]!))
  })

  it('is refused when the source has lost all its states', async () => {
    const {repository, store, target} = await copies()
    await store.delete('state', testMac(1))
    expect((await failureOf(copyAndDelete(repository, target))).code).to.equal('PARTIAL')
  })

  it('is refused while the target has locks', async () => {
    const {packfiles, repository, store, target} = await copies()
    await store.delete('packfile', packfiles[0]!)
    await new KlosetStore(target).put('lock', testMac(9), bufferSource(await lockOf(1)))
    expect((await failureOf(copyAndDelete(repository, target))).code).to.equal('LOCKED')
  })

  it('asks for the locks as they are now, where it can', async () => {
    const {packfiles, repository, store, target} = await copies()
    await store.delete('packfile', packfiles[0]!)
    await new KlosetStore(target).put('lock', testMac(9), bufferSource(await lockOf(60)))
    const copy = copyStore(repository, target)
    for await (const {failure} of copy) expect(failure).to.equal(undefined)
    const run = async (lookAtLocks: () => Promise<TargetLocks>) => {
      const tags: string[] = []
      const options = {apply: true, lookAtLocks, resources: ['packfile']} as const
      for await (const {tag} of deleteTargetOnly(copy, repository, target, options)) tags.push(tag)
      return tags
    }

    const refused = await failureOf(run(async () => ({advice: 'ask him', held: ['host-2 (shared)']})))
    expect([refused.code, refused.message]).to.deep.equal([
      'LOCKED',
      'memory:target: somebody works on it, or may: host-2 (shared)',
    ])
    expect(refused.suggestions.at(-1)).to.equal('ask him')
    expect(await run(async () => ({held: []}))).to.deep.equal([tagOf('packfile', packfiles[0]!)])
  })

  it('believes no list that leaves out a tag', async () => {
    const {packfiles, repository, target} = await copies()
    const short = spyRepository(repository)
    const {tags} = repository
    short.repository.tags = async function* (...args) {
      for await (const tag of tags.apply(repository, args)) if (tag !== tagOf('packfile', packfiles[2]!)) yield tag
    }

    expect((await failureOf(copyAndDelete(short.repository, target))).code).to.equal('PROTOCOL')
    expect(Object.keys(await contentsOf(target))).to.have.length(5)
  })
})
