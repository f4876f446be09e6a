import {expect} from 'chai'

import type {Digest} from '../../../src/registry/digest.js'

import {newConfiguration, sealConfiguration} from '../../../src/kloset/configuration.js'
import {createStore} from '../../../src/kloset/create.js'
import {CONFIG_TAG, tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {copyExitCode} from '../../../src/transfer/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'
import {contentsOf, expectWhole, objectsOf} from '../../helpers/store-shape.js'
import {NOW, storeWithPackfiles} from '../../helpers/test-store.js'
import {copied} from './copies.js'

describe('copy into a repository that is not empty', () => {
  it('refuses another store', async () => {
    const {repository} = await storeWithPackfiles(1)
    const target = memoryRepository('target')
    const other = newConfiguration({compression: 'none', now: NOW, repositoryId: Buffer.alloc(16, 9)})
    await createStore(target, await sealConfiguration(other))
    const before = await contentsOf(target)
    const error = await failureOf(copied(repository, target))
    expect(error.code).to.equal('ALREADY_EXISTS')
    expect(error.message).to.contain('09090909')
    expect(await contentsOf(target)).to.deep.equal(before)
  })

  it('refuses the same store with another configuration', async () => {
    const {repository} = await storeWithPackfiles(1)
    const target = memoryRepository('target')
    const other = newConfiguration({compression: 'none', now: NOW + 1, repositoryId: Buffer.alloc(16, 3)})
    await createStore(target, await sealConfiguration(other))
    expect((await failureOf(copied(repository, target))).message).to.contain('same store')
  })

  it('refuses objects without a configuration', async () => {
    const {packfiles, repository} = await storeWithPackfiles(1)
    const target = memoryRepository('target')
    await new KlosetStore(target).put('packfile', packfiles[0]!, bufferSource(Buffer.from('whose?')))
    expect((await failureOf(copied(repository, target))).code).to.equal('ALREADY_EXISTS')
  })

  it('refuses a source without a store, and a store onto itself', async () => {
    const {repository} = await storeWithPackfiles(1)
    expect((await failureOf(copied(memoryRepository('empty'), memoryRepository('target')))).code).to.equal('NOT_FOUND')
    expect((await failureOf(copied(repository, repository))).code).to.equal('INVALID_ARGUMENT')
  })

  it('leaves foreign tags alone and counts them', async () => {
    const {repository} = await storeWithPackfiles(1)
    const target = memoryRepository('target')
    await repository.manifests.tag(await repository.manifests.resolve(CONFIG_TAG), 'latest')
    const {summary} = await copied(repository, target)
    expect(summary.foreign).to.deep.equal({source: 1, target: 0})
    expect(await objectsOf(target)).not.to.have.property('latest')
  })

  it('heals content that the target has lost, and believes its tags only when told to', async () => {
    const {packfiles, repository} = await storeWithPackfiles(2)
    const target = memoryRepository('target')
    await copied(repository, target)
    const {digest} = await new KlosetStore(target).stat('packfile', packfiles[0]!)
    await target.blobs.delete(digest)
    expect((await copied(repository, target, {quick: true})).summary.counts).to.include({healed: 0, present: 4})
    const {statuses} = await copied(repository, target)
    expect(statuses[tagOf('packfile', packfiles[0]!)]).to.equal('healed')
    await expectWhole(target, 'healed')
  })

  it('heals a lost CONFIG by the digest that its tag still names', async () => {
    const {repository} = await storeWithPackfiles(1)
    const target = memoryRepository('target')
    await copied(repository, target)
    const manifest = await target.manifests.get(CONFIG_TAG)
    const {layers} = JSON.parse(Buffer.from(manifest.bytes).toString()) as {layers: {digest: Digest}[]}
    await target.blobs.delete(layers[0]!.digest)
    expect((await copied(repository, target)).statuses[CONFIG_TAG]).to.equal('healed')
    await expectWhole(target, 'healed')
  })

  it('replaces other content under the same MAC only when told to', async () => {
    const {packfiles, repository} = await storeWithPackfiles(2)
    const target = memoryRepository('target')
    await copied(repository, target)
    const tag = tagOf('packfile', packfiles[0]!)
    await new KlosetStore(target).put('packfile', packfiles[0]!, bufferSource(Buffer.from('other')), {overwrite: true})
    const refused = await copied(repository, target)
    expect(refused.statuses[tag]).to.equal('failed')
    expect(refused.outcomes.find((outcome) => outcome.tag === tag)?.failure).to.include({
      code: 'ALREADY_EXISTS',
      kind: 'damage',
      side: 'target',
    })
    expect(copyExitCode(refused.summary)).to.equal(65)
    await copied(repository, target, {overwrite: true})
    expect(await objectsOf(target)).to.deep.equal(await objectsOf(repository))
  })
})
