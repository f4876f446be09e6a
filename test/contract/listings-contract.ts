/* eslint-disable mocha/no-exports, mocha/no-top-level-hooks -- part of a suite that several test files run */
import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {Readable} from 'node:stream'
import {setImmediate as turn} from 'node:timers/promises'

import type {ContractSubject} from './subject.js'

import {canListBlobs, canListManifests, canListReferrers, type Repository} from '../../src/registry/interfaces.js'
import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {bufferSource, type ContentSource} from '../../src/util/content-source.js'
import {drain} from '../../src/util/drain.js'
import {blobOf, imageManifest, listed, pushBlob, pushObject, rejects} from '../helpers/registry-objects.js'

export function describeListings(subject: () => ContractSubject): void {
  let repository: Repository
  beforeEach(() => {
    repository = subject().repository
  })

  describe('listings', () => {
    it('lists referrers of a subject', async function () {
      if (!canListReferrers(repository)) {
        this.skip()
        return
      }

      const {config, descriptor} = await pushObject(repository, 'image')
      const plain = await repository.manifests.push(imageManifest(config, {subject: descriptor}))
      const typed = await repository.manifests.push(
        imageManifest(config, {annotations: {k: 'v'}, artifactType: 'application/vnd.test', subject: descriptor}),
        {tag: 'signature'},
      )
      const referrers = await listed(repository.referrers(descriptor.digest))
      const byDigest = new Map(referrers.map((referrer) => [referrer.digest, referrer]))
      expect([...byDigest.keys()].sort()).to.deep.equal([plain.digest, typed.digest].sort())
      expect(byDigest.get(plain.digest)!.artifactType).to.equal(MEDIA_TYPE.imageConfig)
      expect(byDigest.get(typed.digest)!.artifactType).to.equal('application/vnd.test')
      expect(byDigest.get(typed.digest)!.annotations).to.deep.equal({k: 'v'})
      expect(await listed(repository.referrers(typed.digest))).to.deep.equal([])
    })

    it('lists every manifest, tagged or not', async function () {
      if (!canListManifests(repository)) {
        this.skip()
        return
      }

      const {config, descriptor} = await pushObject(repository, 'a')
      await repository.manifests.tag(descriptor, 'b')
      const bare = await repository.manifests.push(imageManifest(config))
      const found = await listed(repository.manifestDigests())
      expect(found.map(({digest}) => digest).sort()).to.deep.equal([bare.digest, descriptor.digest].sort())
      expect(found.find(({digest}) => digest === bare.digest)!.size).to.equal(bare.size)
    })

    it('lists every blob with its size', async function () {
      if (!canListBlobs(repository)) {
        this.skip()
        return
      }

      const blobs = await Promise.all([10, 20, 30].map((size) => pushBlob(repository, randomBytes(size))))
      const found = new Map((await listed(repository.blobDigests())).map(({digest, size}) => [digest, size]))
      for (const {digest, size} of blobs) expect(found.get(digest)).to.equal(size)
    })
  })

  describe('cancellation', () => {
    it('does not begin when the signal has aborted', async () => {
      const {descriptor, layer, manifest} = await pushObject(repository, 'a')
      const signal = AbortSignal.abort(new Error('enough'))
      const calls: Array<() => Promise<unknown>> = [
        () => repository.ping({signal}),
        () => repository.blobs.resolve(layer.digest, {signal}),
        () => repository.blobs.fetch(layer, {signal}),
        () => repository.blobs.push(blobOf(Buffer.from('new')), bufferSource(Buffer.from('new')), {signal}),
        () => repository.blobs.delete(layer.digest, {signal}),
        () => repository.manifests.get('a', {signal}),
        () => repository.manifests.resolve('a', {signal}),
        () => repository.manifests.push(manifest, {signal, tag: 'b'}),
        () => repository.manifests.tag(descriptor, 'b', {signal}),
        () => repository.manifests.untag('a', {signal}),
        () => repository.manifests.delete(descriptor.digest, {signal}),
        () => listed(repository.tags({signal})),
      ]
      for (const call of calls) await rejects(call(), 'INTERRUPTED')
      expect(await listed(repository.tags())).to.deep.equal(['a'])
      expect((await repository.blobs.resolve(layer.digest)).size).to.equal(layer.size)
    })

    it('ends a push in its middle and shows nothing', async () => {
      const bytes = randomBytes(2 * 1024 * 1024)
      const target = blobOf(bytes)
      const controller = new AbortController()
      const source: ContentSource = {
        open: () =>
          Readable.from(
            (async function* () {
              yield bytes.subarray(0, 1024 * 1024)
              controller.abort(new Error('enough'))
              await new Promise((resolve) => {
                setImmediate(resolve)
              })
              yield bytes.subarray(1024 * 1024)
            })(),
            {objectMode: false},
          ),
        size: bytes.length,
      }
      await rejects(repository.blobs.push(target, source, {signal: controller.signal}), 'INTERRUPTED')
      await rejects(repository.blobs.resolve(target.digest), 'NOT_FOUND')
    })

    it('ends a fetch in its middle', async () => {
      const target = await pushBlob(repository, randomBytes(8 * 1024 * 1024))
      const controller = new AbortController()
      const read = async () => {
        for await (const chunk of await repository.blobs.fetch(target, {signal: controller.signal})) {
          expect(chunk).to.have.length.above(0)
          controller.abort(new Error('enough'))
        }
      }

      await rejects(read(), 'INTERRUPTED')
    })

    it('ends a fetch in its middle that is drained, when what it does with a piece is done', async () => {
      const target = await pushBlob(repository, randomBytes(8 * 1024 * 1024))
      const controller = new AbortController()
      let atWork = 0
      const stream = await repository.blobs.fetch(target, {signal: controller.signal})
      const drained = drain(stream, async () => {
        atWork += 1
        controller.abort(new Error('enough'))
        for (let turns = 0; turns < 5; turns++) await turn()
        atWork -= 1
      })
      await rejects(drained, 'INTERRUPTED')
      expect(atWork).to.equal(0)
    })

    it('ends a walk over tags in its middle', async () => {
      await Promise.all(Array.from({length: 20}, (_, index) => pushObject(repository, `t${index}`)))
      const controller = new AbortController()
      const walk = async () => {
        for await (const tag of repository.tags({signal: controller.signal})) {
          expect(tag).to.match(/^t/)
          controller.abort(new Error('enough'))
        }
      }

      await rejects(walk(), 'INTERRUPTED')
    })
  })
}
