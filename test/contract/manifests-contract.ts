/* eslint-disable mocha/no-exports, mocha/no-top-level-hooks -- part of a suite that several test files run */
import {expect} from 'chai'

import type {ContractSubject, ContractTraits} from './subject.js'

import {type Descriptor} from '../../src/registry/descriptor.js'
import {digestOf} from '../../src/registry/digest.js'
import {type Repository} from '../../src/registry/interfaces.js'
import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {blobOf, imageManifest, listed, pushBlob, pushObject, rejects} from '../helpers/registry-objects.js'

export function describeManifests(subject: () => ContractSubject, traits: ContractTraits): void {
  const {digestDeleteTakesTags = true, movedTagKeepsManifest = true, untagKeepsManifest} = traits
  let repository: Repository
  beforeEach(() => {
    repository = subject().repository
  })

  describe('manifests and tags', () => {
    it('gives back the exact bytes by tag and by digest', async () => {
      const {descriptor, manifest} = await pushObject(repository, 'one')
      for (const reference of ['one', descriptor.digest]) {
        const got = await repository.manifests.get(reference)
        expect(Buffer.from(got.bytes).equals(Buffer.from(manifest.bytes))).to.equal(true)
        expect(got.mediaType).to.equal(MEDIA_TYPE.imageManifest)
        expect(got.descriptor.digest).to.equal(digestOf(manifest.bytes))
        expect(got.descriptor.size).to.equal(manifest.bytes.byteLength)
        const resolved = await repository.manifests.resolve(reference)
        expect(resolved.digest).to.equal(descriptor.digest)
        expect(resolved.mediaType).to.equal(MEDIA_TYPE.imageManifest)
        expect(resolved.size).to.equal(descriptor.size)
      }
    })

    it('stores a manifest without a tag', async () => {
      const config = await pushBlob(repository, Buffer.from('{}'))
      const manifest = imageManifest(config, {annotations: {un: 'tagged'}})
      const {digest} = await repository.manifests.push(manifest)
      expect((await repository.manifests.get(digest)).descriptor.digest).to.equal(digest)
      expect(await listed(repository.tags())).to.deep.equal([])
    })

    it('moves a tag and adds another', async () => {
      const first = await pushObject(repository, 'moving', 'first')
      const second = await pushObject(repository, 'fixed', 'second')
      await repository.manifests.tag(second.descriptor, 'moving')
      expect((await repository.manifests.resolve('moving')).digest).to.equal(second.descriptor.digest)
      const {descriptor} = movedTagKeepsManifest ? first : second
      await repository.manifests.tag(descriptor, 'added')
      expect((await repository.manifests.resolve('added')).digest).to.equal(descriptor.digest)
      expect((await listed(repository.tags())).sort()).to.deep.equal(['added', 'fixed', 'moving'])
    })

    it('does not tag what is not there', async () => {
      const missing: Descriptor = {...blobOf(Buffer.from('no manifest')), mediaType: MEDIA_TYPE.imageManifest}
      await rejects(repository.manifests.tag(missing, 'ghost'), 'NOT_FOUND')
      expect(await listed(repository.tags())).to.deep.equal([])
    })

    it('names what is missing', async () => {
      const digest = digestOf(Buffer.from('nothing'))
      for (const reference of ['absent', digest]) {
        await rejects(repository.manifests.get(reference), 'NOT_FOUND')
        await rejects(repository.manifests.resolve(reference), 'NOT_FOUND')
      }

      await rejects(repository.manifests.delete(digest), 'NOT_FOUND')
      await rejects(repository.manifests.untag('absent'), 'NOT_FOUND')
    })

    it('refuses what is no tag', async () => {
      const {descriptor, manifest} = await pushObject(repository, 'good')
      for (const bad of ['', '-a', '.a', 'a/b', 'a:b', 'a b', '../x', 'x'.repeat(129), 'sha256:abc']) {
        await rejects(repository.manifests.resolve(bad), 'INVALID_REFERENCE')
        await rejects(repository.manifests.tag(descriptor, bad), 'INVALID_REFERENCE')
        await rejects(repository.manifests.push(manifest, {tag: bad}), 'INVALID_REFERENCE')
        await rejects(repository.manifests.untag(bad), 'INVALID_REFERENCE')
      }

      expect(await listed(repository.tags())).to.deep.equal(['good'])
    })

    it('lists no tags of an empty repository', async () => {
      expect(await listed(repository.tags())).to.deep.equal([])
    })

    it('lists every tag once, however they were pushed', async () => {
      const names = Array.from({length: 250}, (_, index) => `tag-${String(index).padStart(4, '0')}`)
      await Promise.all(names.map((tag) => pushObject(repository, tag)))
      expect((await listed(repository.tags())).sort()).to.deep.equal(names)
    })

    it('lists CONFIG beside lower case and tags of full length', async () => {
      const names = ['CONFIG', '_x', 'a.b-c_d', `packfiles-${'f'.repeat(64)}`, 'x'.repeat(128)]
      for (const tag of names) await pushObject(repository, tag)
      expect((await listed(repository.tags())).sort()).to.deep.equal([...names].sort())
    })

    it('deletes a manifest with its tags', async function () {
      if (!digestDeleteTakesTags) this.skip()
      const {descriptor, layer} = await pushObject(repository, 'a')
      await repository.manifests.tag(descriptor, 'b')
      await pushObject(repository, 'c')
      await repository.manifests.delete(descriptor.digest)
      for (const gone of ['a', 'b', descriptor.digest]) await rejects(repository.manifests.resolve(gone), 'NOT_FOUND')
      expect(await listed(repository.tags())).to.deep.equal(['c'])
      expect((await repository.blobs.resolve(layer.digest)).size).to.equal(layer.size)
    })

    it('removes a tag and its manifest', async () => {
      const {descriptor} = await pushObject(repository, 'a')
      await pushObject(repository, 'b')
      const {manifestDeleted} = await repository.manifests.untag('a')
      expect(manifestDeleted).to.equal(true)
      await rejects(repository.manifests.resolve('a'), 'NOT_FOUND')
      await rejects(repository.manifests.resolve(descriptor.digest), 'NOT_FOUND')
      expect(await listed(repository.tags())).to.deep.equal(['b'])
    })

    it('removes one of two tags that share a manifest, and only that one', async () => {
      const {descriptor} = await pushObject(repository, 'a')
      await repository.manifests.tag(descriptor, 'b')
      const {manifestDeleted} = await repository.manifests.untag('a')
      expect(manifestDeleted).to.equal(false)
      await rejects(repository.manifests.resolve('a'), 'NOT_FOUND')
      expect((await repository.manifests.get('b')).descriptor.digest).to.equal(descriptor.digest)
      expect(await listed(repository.tags())).to.deep.equal(['b'])
      expect((await repository.manifests.untag('b')).manifestDeleted).to.equal(true)
      expect(await listed(repository.tags())).to.deep.equal([])
    })

    if (untagKeepsManifest) {
      it('leaves the manifest when asked to', async () => {
        const {descriptor} = await pushObject(repository, 'a')
        const {manifestDeleted} = await repository.manifests.untag('a', {deleteManifest: false})
        expect(manifestDeleted).to.equal(false)
        await rejects(repository.manifests.resolve('a'), 'NOT_FOUND')
        expect((await repository.manifests.get(descriptor.digest)).descriptor.digest).to.equal(descriptor.digest)
        await repository.manifests.tag(descriptor, 'again')
        expect(await listed(repository.tags())).to.deep.equal(['again'])
      })

      it('keeps a manifest that an index lists', async () => {
        const {descriptor} = await pushObject(repository, 'part')
        const index = {manifests: [descriptor], mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2}
        const bytes = Buffer.from(JSON.stringify(index))
        await repository.manifests.push({bytes, mediaType: MEDIA_TYPE.imageIndex}, {tag: 'whole'})
        expect((await repository.manifests.untag('part')).manifestDeleted).to.equal(false)
        expect((await repository.manifests.get(descriptor.digest)).descriptor.digest).to.equal(descriptor.digest)
      })
    }

    it('keeps an index as an index', async () => {
      const {descriptor} = await pushObject(repository, 'part')
      const index = {manifests: [descriptor], mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2}
      const bytes = Buffer.from(JSON.stringify(index))
      await repository.manifests.push({bytes, mediaType: MEDIA_TYPE.imageIndex}, {tag: 'whole'})
      const got = await repository.manifests.get('whole')
      expect(got.mediaType).to.equal(MEDIA_TYPE.imageIndex)
      expect(Buffer.from(got.bytes).equals(bytes)).to.equal(true)
    })

    it('pushes the same manifest again without harm', async () => {
      const {descriptor, manifest} = await pushObject(repository, 'a')
      const again = await repository.manifests.push(manifest, {tag: 'a'})
      expect(again.digest).to.equal(descriptor.digest)
      expect(await listed(repository.tags())).to.deep.equal(['a'])
    })

    it('answers a ping', async () => {
      await repository.ping()
    })
  })
}
