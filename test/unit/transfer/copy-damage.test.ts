import {expect} from 'chai'

import type {Digest} from '../../../src/registry/digest.js'

import {KlosetOciError} from '../../../src/errors.js'
import {CONFIG_TAG, tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {MEDIA_TYPE} from '../../../src/registry/media-types.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {copyExitCode} from '../../../src/transfer/index.js'
import {bufferSource, HELD_BYTES} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'
import {testMac} from '../../helpers/macs.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {contentsOf, expectWhole, objectsOf} from '../../helpers/store-shape.js'
import {packfileOf, stateTag, storeWithPackfiles} from '../../helpers/test-store.js'
import {copied} from './copies.js'

/** Writes the manifest of an object anew, with another size for its layer. */
async function restate(store: KlosetStore, tag: string, size: number, annotations: Record<string, string> = {}) {
  const {bytes, mediaType} = await store.repository.manifests.get(tag)
  const json = JSON.parse(Buffer.from(bytes).toString()) as {annotations: object; layers: {size: number}[]}
  const changed = {...json, annotations, layers: [{...json.layers[0], size}]}
  await store.repository.manifests.push({bytes: Buffer.from(JSON.stringify(changed)), mediaType}, {tag})
}

describe('copy of a store with something wrong in it', () => {
  it('goes on after an object whose content has gone, and copies the states', async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(4)
    const {digest} = await store.stat('packfile', packfiles[1]!)
    await repository.blobs.delete(digest)
    const target = memoryRepository('target')
    const {outcomes, statuses, summary} = await copied(repository, target)
    const tag = tagOf('packfile', packfiles[1]!)
    expect(Object.entries(statuses).filter(([, status]) => status !== 'copied')).to.deep.equal([[tag, 'failed']])
    expect(outcomes.find((outcome) => outcome.tag === tag)?.failure).to.include({kind: 'damage', side: 'source'})
    expect(statuses[stateTag(1)]).to.equal('copied')
    expect(summary).to.include({complete: false, damaged: 1})
    expect(copyExitCode(summary)).to.equal(65)
    expect(await objectsOf(target)).not.to.have.property(tag)
  })

  it('holds states back while a packfile could not be brought, and brings both the next time', async () => {
    const {packfiles, repository} = await storeWithPackfiles(3)
    const tag = tagOf('packfile', packfiles[2]!)
    const flaky = spyRepository(repository, {
      before({name, subject}) {
        if (name === 'manifests.get' && subject === tag) {
          throw new KlosetOciError('UNREACHABLE', 'reset')
        }
      },
    })
    const target = memoryRepository('target')
    const {statuses, summary} = await copied(flaky.repository, target)
    expect(statuses).to.include({[stateTag(1)]: 'held-back', [tag]: 'failed'})
    expect(copyExitCode(summary)).to.equal(75)
    await expectWhole(target, 'without the state')
    expect((await copied(repository, target)).statuses).to.include({[stateTag(1)]: 'copied', [tag]: 'copied'})
    expect(await contentsOf(target)).to.deep.equal(await contentsOf(repository))
  })

  it('holds states back when packfiles are not wanted and not there', async () => {
    const {repository} = await storeWithPackfiles(1)
    const target = memoryRepository('target')
    expect((await copied(repository, target, {resources: ['state']})).summary.counts).to.include({'held-back': 1})
  })

  it('ends when nothing is answered any more', async () => {
    const {repository} = await storeWithPackfiles(40)
    const down = spyRepository(repository, {
      before({name, subject}) {
        if (name === 'manifests.get' && subject.startsWith('packfiles-')) {
          throw new KlosetOciError('UNREACHABLE', 'nobody answers')
        }
      },
    })
    const error = await failureOf(copied(down.repository, memoryRepository('target'), {concurrency: 2}))
    expect(error.code).to.equal('UNREACHABLE')
    expect(down.calls.filter(({subject}) => subject.startsWith('packfiles-')).length).to.be.lessThan(30)
  })

  it('ends at once when it is not let in', async () => {
    const {repository} = await storeWithPackfiles(3)
    const shut = spyRepository(memoryRepository('target'), {
      before({name}) {
        if (name === 'blobs.pushForced') throw new KlosetOciError('FORBIDDEN', 'denied')
      },
    })
    expect((await failureOf(copied(repository, shut.repository))).code).to.equal('FORBIDDEN')
  })

  it('tells a tag that was removed meanwhile from one that has lost its manifest', async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(2)
    const tag = tagOf('packfile', packfiles[0]!)
    const removing = spyRepository(repository)
    let lists = 0
    removing.repository.tags = async function* (...args) {
      yield* repository.tags(...args)
      // The packfiles were listed, and have not been read.
      if (++lists === 2) await store.delete('packfile', packfiles[0]!)
    }

    const gone = await copied(removing.repository, memoryRepository('target'))
    expect(gone.statuses[tag]).to.equal('vanished')
    expect(copyExitCode(gone.summary)).to.equal(0)

    const ghost = await storeWithPackfiles(2)
    const ghostTag = tagOf('packfile', ghost.packfiles[1]!)
    const listed = spyRepository(ghost.repository)
    const {tags} = ghost.repository
    listed.repository.tags = async function* (...args) {
      yield* tags.apply(ghost.repository, args)
      yield tagOf('packfile', testMac(99))
    }

    const damaged = await copied(listed.repository, memoryRepository('other'))
    expect(damaged.statuses).to.include({[ghostTag]: 'copied', [tagOf('packfile', testMac(99))]: 'failed'})
    expect(copyExitCode(damaged.summary)).to.equal(65)
  })

  it('finds the true size where the official writer wrote 0, and writes it', async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(2)
    const tag = tagOf('packfile', packfiles[0]!)
    const {digest, size} = await store.stat('packfile', packfiles[0]!)
    await restate(store, tag, 0)
    const target = memoryRepository('target')
    const {outcomes, summary} = await copied(repository, target)
    expect(outcomes.find((outcome) => outcome.tag === tag)).to.include({status: 'copied'})
    expect(outcomes.find((outcome) => outcome.tag === tag)?.note).to.contain(`${size} bytes`)
    expect(summary.rewritten).to.equal(1)
    expect(await new KlosetStore(target).stat('packfile', packfiles[0]!)).to.include({digest, shape: 'own', size})
    // The next copy finds the object there, whatever its manifest.
    expect((await copied(repository, target)).summary.counts).to.include({copied: 0, present: 4})
  })

  for (const wrong of [1, 999_999]) {
    it(`corrects a manifest that states ${wrong} bytes, of either shape`, async () => {
      const {packfiles, repository, store} = await storeWithPackfiles(2)
      const own = {'org.opencontainers.image.ref.name': tagOf('packfile', packfiles[1]!)}
      await restate(store, tagOf('packfile', packfiles[0]!), wrong)
      await restate(store, tagOf('packfile', packfiles[1]!), wrong, own)
      const target = memoryRepository('target')
      const {summary} = await copied(repository, target)
      expect(summary).to.deep.include({complete: true, rewritten: 2})
      await expectWhole(target, 'the copy')
    })
  }

  for (const [size, padding] of Object.entries({large: 2 * HELD_BYTES, small: 0}))
    it(`checks MACs when told to, and lets nothing ${size} pass that is not what it is called`, async () => {
      const {packfiles, repository, store} = await storeWithPackfiles(3, {padding})
      const swapped = await packfileOf('another packfile'.padEnd(padding + 20, '!'))
      await store.put('packfile', packfiles[0]!, bufferSource(swapped.bytes), {overwrite: true})
      const bad = Buffer.from((await packfileOf('a packfile that is damaged'.padEnd(padding + 40, '?'))).bytes)
      bad[30]! += 1
      await store.put('packfile', packfiles[1]!, bufferSource(bad), {overwrite: true})
      expect((await copied(repository, memoryRepository('trusting'))).summary.damaged).to.equal(0)

      const target = memoryRepository('target')
      const {outcomes, summary} = await copied(repository, target, {verify: 'mac'})
      expect(summary.damaged).to.equal(2)
      const messages = outcomes.flatMap(({failure}) => (failure ? [failure.message] : []))
      expect(messages.some((message) => message.includes("another's tag"))).to.equal(true)
      expect(messages.some((message) => message.includes('MAC does not match'))).to.equal(true)
      const objects = await objectsOf(target)
      expect(Object.keys(objects).filter((tag) => tag.startsWith('packfiles-'))).to.have.length(1)
      for await (const {size} of target.blobDigests()) expect([swapped.bytes.length, bad.length]).not.to.include(size)
    })

  it('brings the config blob that every manifest names, even when the source has lost it', async () => {
    const {repository} = await storeWithPackfiles(1)
    const {config} = JSON.parse(Buffer.from((await repository.manifests.get(CONFIG_TAG)).bytes).toString()) as {
      config: {digest: Digest}
    }
    await repository.blobs.delete(config.digest)
    const target = memoryRepository('target')
    await copied(repository, target)
    expect((await target.blobs.resolve(config.digest)).size).to.equal(2)
  })

  it('writes a manifest anew whose own config blob is nowhere', async () => {
    const {packfiles, repository} = await storeWithPackfiles(1)
    const tag = tagOf('packfile', packfiles[0]!)
    const {bytes} = await repository.manifests.get(tag)
    const json = JSON.parse(Buffer.from(bytes).toString()) as object
    const config = {digest: `sha256:${'d'.repeat(64)}`, mediaType: MEDIA_TYPE.imageConfig, size: 12}
    const changed = Buffer.from(JSON.stringify({...json, config}))
    await repository.manifests.push({bytes: changed, mediaType: MEDIA_TYPE.imageManifest}, {tag})
    const target = memoryRepository('target')
    const {outcomes} = await copied(repository, target)
    expect(outcomes.find((outcome) => outcome.tag === tag)?.note).to.contain('config blob')
    await expectWhole(target, 'the copy')
  })
})
