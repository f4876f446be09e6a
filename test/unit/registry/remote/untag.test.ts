import {expect} from 'chai'

import type {FakeOptions} from '../../../helpers/fake-registry.js'

import {MEDIA_TYPE} from '../../../../src/registry/media-types.js'
import {failureOf} from '../../../helpers/failure.js'
import {listed} from '../../../helpers/registry-objects.js'
import {requestsOf, type Rig, useRig} from '../../../helpers/remote-rig.js'

/** What registries make of DELETE, and which way is then taken: alone, shared, and with the manifest left behind. */
const REGISTRIES: Readonly<Record<string, {expected: readonly [string, string, string]; options: FakeOptions}>> = {
  'digests alone (distribution 2.8)': {
    expected: ['digest', 'replace', 'replace'],
    options: {tagDelete: 'digest-invalid', tagOrder: 'insertion', tagPaging: 'none'},
  },
  'digests alone, 405 for tags': {expected: ['digest', 'replace', 'replace'], options: {tagDelete: 'off'}},
  'tags, and says it deletes digests while it keeps tags (go-containerregistry)': {
    expected: ['tag', 'tag', 'tag'],
    options: {digestDelete: 'keeps-tags', tagDelete: 'untag'},
  },
  'tags, digests only when untagged (Google)': {
    expected: ['tag', 'tag', 'tag'],
    options: {digestDelete: 'refused-while-tagged', tagDelete: 'untag'},
  },
  'tags, not digests': {expected: ['tag', 'tag', 'tag'], options: {digestDelete: 'off', tagDelete: 'untag'}},
  'tags alone (distribution 3, zot)': {expected: ['tag', 'tag', 'tag'], options: {tagDelete: 'untag'}},
  'tags with their manifest and all its tags': {
    expected: ['tag', 'replace', 'replace'],
    options: {tagDelete: 'cascade'},
  },
}

/** Two tags that share a manifest, and two that do not. */
function fill({stored}: Rig): {alone: string; shared: string} {
  const shared = stored.addImage('shared-1', 'shared')
  stored.tags.set('shared-2', shared)
  stored.addImage('other', 'other')
  return {alone: stored.addImage('alone', 'alone'), shared}
}

/** All that `fill` made is there. */
function untouched(one: Rig): void {
  expect([...one.stored.tags.keys()].sort()).to.deep.equal(['alone', 'other', 'shared-1', 'shared-2'])
  for (const digest of one.stored.tags.values()) expect(one.stored.manifests.has(digest)).to.equal(true)
}

function isShared(tag: string): boolean {
  return tag.startsWith('shared-')
}

/** Only the shared ones could need whatever is asked about. */
function onlyShared(): (tag: string) => boolean {
  return isShared
}

describe('removal of a tag at a registry', () => {
  const rig = useRig()

  for (const [name, {expected, options}] of Object.entries(REGISTRIES)) {
    describe(`that deletes ${name}`, () => {
      const [forAlone, forShared, forKept] = expected
      const deletesDigests = options.digestDelete !== 'off'

      it('takes the manifest that no other tag needs', async () => {
        const one = await rig(options)
        const {alone} = fill(one)
        const result = await one.repository.manifests.untag('alone')
        expect(result).to.deep.equal({manifestDeleted: deletesDigests, strategy: forAlone})
        expect(one.stored.manifests.has(alone)).to.equal(!deletesDigests)
        expect([...one.stored.tags.keys()].sort()).to.deep.equal(['other', 'shared-1', 'shared-2'])
      })

      it('leaves the manifest that another tag needs, and that tag', async () => {
        const one = await rig(options)
        const {shared} = fill(one)
        const result = await one.repository.manifests.untag('shared-1')
        expect(result).to.deep.equal({manifestDeleted: false, strategy: forShared})
        expect(one.stored.tags.get('shared-2')).to.equal(shared)
        expect(one.stored.manifests.has(shared)).to.equal(true)
        expect([...one.stored.tags.keys()].sort()).to.deep.equal(['alone', 'other', 'shared-2'])
        // The one that is left takes it along.
        expect((await one.repository.manifests.untag('shared-2')).manifestDeleted).to.equal(deletesDigests)
        expect([...one.stored.tags.keys()].sort()).to.deep.equal(['alone', 'other'])
      })

      it('leaves the manifest when told to, and asks for no other tag', async () => {
        const one = await rig(options)
        const {alone, shared} = fill(one)
        for (const [tag, digest] of [
          ['alone', alone],
          ['shared-1', shared],
        ] as const) {
          const result = await one.repository.manifests.untag(tag, {deleteManifest: false})
          expect(result).to.deep.equal({manifestDeleted: false, strategy: forKept})
          expect(one.stored.manifests.has(digest)).to.equal(true)
          expect(one.stored.tags.has(tag)).to.equal(false)
        }

        expect([...one.stored.tags.keys()].sort()).to.deep.equal(['other', 'shared-2'])
        expect(one.fake.count('GET', /tags\/list/)).to.equal(0)
      })

      it('asks only the tags that could need the manifest, when told which', async () => {
        const one = await rig(options)
        const {alone} = fill(one)
        const result = await one.repository.manifests.untag('alone', {sharers: onlyShared})
        expect(result.manifestDeleted).to.equal(deletesDigests)
        expect(one.stored.manifests.has(alone)).to.equal(!deletesDigests)
        expect([...one.stored.tags.keys()].sort()).to.deep.equal(['other', 'shared-1', 'shared-2'])
        expect(one.fake.count('HEAD', /manifests\/other$/)).to.equal(0)
      })

      it('leaves the manifest that a tag needs which could, and asks all when it is not told which', async () => {
        const one = await rig(options)
        const {shared} = fill(one)
        one.stored.tags.set('shared-3', shared)
        const asked: string[] = []
        await one.repository.manifests.untag('shared-1', {
          sharers(manifest) {
            asked.push(manifest.bytes.toString())
            return isShared
          },
        })
        expect(asked).to.deep.equal([one.stored.manifests.get(shared)!.bytes.toString()])
        expect(one.stored.tags.get('shared-2')).to.equal(shared)
        expect(one.stored.manifests.has(shared)).to.equal(true)
        // eslint-disable-next-line unicorn/no-useless-undefined -- the answer
        await one.repository.manifests.untag('shared-2', {sharers: () => undefined})
        expect(one.stored.tags.get('shared-3')).to.equal(shared)
        expect(one.stored.manifests.has(shared)).to.equal(true)
      })

      it('leaves nothing of its probes behind', async () => {
        const one = await rig(options)
        fill(one)
        for (const tag of ['alone', 'shared-1', 'other']) await one.repository.manifests.untag(tag)
        expect([...one.stored.tags.keys()]).to.deep.equal(['shared-2'])
        const used = new Set(one.stored.tags.values())
        const left = [...one.stored.manifests.keys()].filter((digest) => !used.has(digest))
        // Where digests cannot be deleted, manifests without a tag are the registry's to collect.
        expect(left.length === 0).to.equal(deletesDigests)
        expect(one.stored.uploads.size).to.equal(0)
      })

      it('works for many at once', async () => {
        const one = await rig(options)
        for (let index = 0; index < 30; index++) {
          const digest = one.stored.addImage(`t${index}`, `content ${index}`)
          if (index % 3 === 0) one.stored.tags.set(`twin${index}`, digest)
        }

        await Promise.all(Array.from({length: 30}, async (_, index) => one.repository.manifests.untag(`t${index}`)))
        const twins = Array.from({length: 10}, (_, index) => `twin${index * 3}`)
        expect([...one.stored.tags.keys()].sort()).to.deep.equal(twins.sort())
        for (const digest of one.stored.tags.values()) expect(one.stored.manifests.has(digest)).to.equal(true)
      })

      it('keeps a manifest that an index lists', async () => {
        const one = await rig(options)
        const {alone} = fill(one)
        const bytes = Buffer.from(
          JSON.stringify({manifests: [{digest: alone, mediaType: MEDIA_TYPE.imageManifest, size: 1}]}),
        )
        // The tags are asked for now, and the index pushed after that.
        await one.repository.manifests.untag('other')
        await one.repository.manifests.push({bytes, mediaType: MEDIA_TYPE.imageIndex}, {tag: 'index'})
        expect((await one.repository.manifests.untag('alone')).manifestDeleted).to.equal(false)
        expect(one.stored.manifests.has(alone)).to.equal(true)
        expect(one.stored.tags.has('index')).to.equal(true)
      })
    })
  }

  describe('costs', () => {
    it('six requests, and one for each tag that could need the manifest, when those are known', async () => {
      const one = await rig()
      fill(one)
      one.fake.forget()
      const result = await one.repository.manifests.untag('alone', {sharers: onlyShared})
      expect(result).to.deep.equal({manifestDeleted: true, strategy: 'tag'})
      expect(requestsOf(one.fake)).to.deep.equal([
        'HEAD manifests/alone',
        'GET manifests/1078',
        'GET tags/list?n=1000',
        'HEAD manifests/shared-1',
        'HEAD manifests/shared-2',
        'DELETE manifests/alone',
        'HEAD manifests/alone',
        'DELETE manifests/1078',
      ])
    })

    it('a DELETE and a look, once it is known that tags can be removed and the manifest is left', async () => {
      const one = await rig()
      fill(one)
      await one.repository.manifests.untag('other', {deleteManifest: false})
      one.fake.forget()
      await one.repository.manifests.untag('alone', {deleteManifest: false})
      expect(requestsOf(one.fake)).to.deep.equal([
        'HEAD manifests/alone',
        'DELETE manifests/alone',
        'HEAD manifests/alone',
      ])
    })

    it('one list for many, and each tag is asked for once', async () => {
      const one = await rig({tagDelete: 'off'})
      for (let index = 0; index < 40; index++) one.stored.addImage(`t${index}`, `content ${index}`)
      for (let index = 0; index < 20; index++) await one.repository.manifests.untag(`t${index}`)
      expect(one.fake.count('GET', /tags\/list/)).to.equal(1)
      // Each once for the proof, and those removed once before and once after.
      expect(one.fake.count('HEAD')).to.equal(40 + 20 * 2)
      one.clock.advance(60_000)
      one.stored.addImage('new', 'new')
      await one.repository.manifests.untag('t20')
      expect(one.fake.count('GET', /tags\/list/)).to.equal(2)
      expect(one.fake.count('HEAD')).to.equal(40 + 21 * 2 + 1)
    })
  })

  describe('sees', () => {
    it('a tag that another client made on the same manifest meanwhile', async () => {
      const one = await rig({tagDelete: 'off'})
      const {alone} = fill(one)
      await one.repository.manifests.untag('other')
      one.stored.tags.set('late', alone)
      one.clock.advance(60_000)
      expect(await one.repository.manifests.untag('alone')).to.deep.equal({manifestDeleted: false, strategy: 'replace'})
      expect(one.stored.tags.get('late')).to.equal(alone)
    })

    it('a tag that another client moved, once what was seen of it is old', async () => {
      const one = await rig({tagDelete: 'off'})
      const {alone} = fill(one)
      await one.repository.manifests.untag('other')
      one.stored.tags.set('shared-2', alone)
      one.clock.advance(11 * 60_000)
      expect((await one.repository.manifests.untag('alone')).strategy).to.equal('replace')
      expect(one.stored.tags.get('shared-2')).to.equal(alone)
    })

    it('tags that it wrote and moved itself', async () => {
      const one = await rig({tagDelete: 'off'})
      fill(one)
      await one.repository.manifests.untag('other')
      const target = await one.repository.manifests.resolve('alone')
      await one.repository.manifests.tag(target, 'mine')
      expect((await one.repository.manifests.untag('alone')).strategy).to.equal('replace')
      expect((await one.repository.manifests.untag('mine')).strategy).to.equal('digest')
    })

    it('the tags of every page, and digests that only a GET tells', async () => {
      const one = await rig({digestHeader: 'missing', headManifests: 'off', tagDelete: 'off', tagPage: 2})
      fill(one)
      for (let index = 0; index < 9; index++) one.stored.addImage(`x${index}`, `content ${index}`)
      expect((await one.repository.manifests.untag('shared-2')).strategy).to.equal('replace')
      expect((await one.repository.manifests.untag('shared-1')).strategy).to.equal('digest')
    })

    it('tags of a kind that we do not know', async () => {
      const one = await rig({tagDelete: 'off'})
      const {alone} = fill(one)
      one.stored.manifests.set(alone, {...one.stored.manifests.get(alone)!, mediaType: 'application/vnd.example+json'})
      one.stored.tags.set('twin', alone)
      expect((await one.repository.manifests.untag('alone')).manifestDeleted).to.equal(false)
      expect(one.stored.tags.get('twin')).to.equal(alone)
    })
  })

  describe('changes nothing', () => {
    it('where nothing can be deleted, and says what to do', async () => {
      const one = await rig({digestDelete: 'off', tagDelete: 'off'})
      fill(one)
      for (const tag of ['alone', 'shared-1']) {
        const error = await failureOf(one.repository.manifests.untag(tag))
        expect(error.code).to.equal('UNSUPPORTED')
        expect(error.suggestions).to.have.length(1)
      }

      untouched(one)
      expect(one.fake.count('PUT')).to.equal(0)
      expect(one.fake.count('GET', /tags\/list/)).to.equal(0)
    })

    it('without the right to', async () => {
      for (const [status, code] of [
        [401, 'UNAUTHORIZED'],
        [403, 'FORBIDDEN'],
      ] as const) {
        const one = await rig()
        fill(one)
        one.fake.fail({method: 'DELETE', status, times: 99})
        expect((await failureOf(one.repository.manifests.untag('alone'))).code).to.equal(code)
        untouched(one)
      }
    })

    it('when the list of tags or one of them cannot be read', async () => {
      for (const path of [/tags\/list/, /manifests\/other/]) {
        for (const tagDelete of ['off', 'untag', 'cascade'] as const) {
          const one = await rig({tagDelete})
          fill(one)
          one.fake.fail({path, status: 503, times: 99})
          expect((await failureOf(one.repository.manifests.untag('alone'))).code).to.equal('REGISTRY')
          untouched(one)
        }
      }
    })

    it('when the list of tags is too short to prove anything', async () => {
      const one = await rig({tagDelete: 'off', tagPage: 50, tagPaging: 'mute'})
      fill(one)
      for (let index = 0; index < 60; index++) one.stored.addImage(`x${index}`, 'x')
      expect((await failureOf(one.repository.manifests.untag('alone'))).code).to.equal('PROTOCOL')
      expect(one.stored.tags.has('alone')).to.equal(true)
    })

    it('when the stand-in cannot be deleted: the tag is put back', async () => {
      const one = await rig({tagDelete: 'off'})
      const {shared} = fill(one)
      // Deleting what is not there looked good.
      one.fake.fail({method: 'DELETE', path: /sha256/, skip: 1, status: 405, times: 99})
      expect((await failureOf(one.repository.manifests.untag('shared-1'))).code).to.equal('UNSUPPORTED')
      untouched(one)
      expect(one.stored.tags.get('shared-1')).to.equal(shared)
    })

    it('when it is interrupted with the stand-in in place: the tag is put back', async () => {
      const one = await rig({tagDelete: 'off'})
      const {shared} = fill(one)
      const controller = new AbortController()
      one.fake.fail({
        before: () => setTimeout(() => controller.abort(), 10),
        hang: true,
        method: 'DELETE',
        path: /sha256/,
        skip: 1,
      })
      const error = await failureOf(one.repository.manifests.untag('shared-1', {signal: controller.signal}))
      expect(error.code).to.equal('INTERRUPTED')
      expect(one.stored.tags.get('shared-1')).to.equal(shared)
      untouched(one)
    })

    it('for a tag that is not there', async () => {
      const one = await rig()
      fill(one)
      expect((await failureOf(one.repository.manifests.untag('absent'))).code).to.equal('NOT_FOUND')
      untouched(one)
    })
  })

  describe('is no success', () => {
    it('when the registry says 202 and the tag stays', async () => {
      for (const options of [
        {digestDelete: 'lies', tagDelete: 'off'},
        {digestDelete: 'lies', tagDelete: 'lies'},
      ] as const) {
        const one = await rig(options)
        fill(one)
        const error = await failureOf(one.repository.manifests.untag('alone'))
        expect(error.code).to.equal('PROTOCOL')
        expect(error.message).to.include('still there')
        // A stand-in that stays is taken back.
        const shared = one.stored.tags.get('shared-1')
        expect((await failureOf(one.repository.manifests.untag('shared-1'))).code).to.equal('PROTOCOL')
        expect(one.stored.tags.get('shared-1')).to.equal(shared)
      }
    })

    it('when it stays although it went in the probe', async () => {
      const one = await rig()
      fill(one)
      await one.repository.manifests.untag('other')
      one.fake.fail({method: 'DELETE', path: /manifests\/alone/, status: 202, times: 9})
      const error = await failureOf(one.repository.manifests.untag('alone'))
      expect(error.code).to.equal('PROTOCOL')
      expect(error.message).to.include('still there')
      // It was given some time to go.
      expect(one.clock.sleeps.length).to.be.above(0)
    })
  })

  it('waits for a registry that takes a moment', async () => {
    const one = await rig()
    fill(one)
    await one.repository.manifests.untag('other', {deleteManifest: false})
    let looks = 0
    one.fake.fail({
      before() {
        looks += 1
        if (looks === 3) one.stored.tags.delete('alone')
      },
      method: 'HEAD',
      path: /alone/,
      skip: 1,
      times: 9,
    })
    one.fake.fail({method: 'DELETE', path: /manifests\/alone/, status: 202})
    await one.repository.manifests.untag('alone', {deleteManifest: false})
    expect(looks).to.equal(3)
  })

  it('takes a tag that leads nowhere, where tags can be deleted', async () => {
    const one = await rig()
    fill(one)
    one.stored.tags.set('ghost', `sha256:${'0'.repeat(64)}`)
    expect(await one.repository.manifests.untag('ghost')).to.deep.equal({manifestDeleted: false, strategy: 'tag'})
    expect(one.stored.tags.has('ghost')).to.equal(false)
  })

  for (const tagDelete of ['off', 'cascade', 'untag'] as const) {
    it(`takes a tag whose manifest is damaged or names blobs that have gone: tag DELETE ${tagDelete}`, async () => {
      const one = await rig({tagDelete})
      const {alone, shared} = fill(one)
      one.stored.manifests.get(alone)!.bytes[5] = 0x20
      await one.repository.manifests.untag('alone')
      one.stored.blobs.clear()
      await one.repository.manifests.untag('shared-1')
      expect([...one.stored.tags]).to.deep.include(['shared-2', shared])
      expect([...one.stored.tags.keys()].sort()).to.deep.equal(['other', 'shared-2'])
      expect(one.stored.manifests.has(shared)).to.equal(true)
    })
  }

  it('does without a probe of its own where it may not push', async () => {
    const one = await rig()
    const {shared} = fill(one)
    one.fake.fail({method: 'PUT', status: 403, times: 99})
    one.fake.fail({method: 'POST', status: 403, times: 99})
    // Proved to be alone: what DELETE of a tag takes along does not matter then.
    expect((await one.repository.manifests.untag('alone')).strategy).to.equal('tag')
    expect(one.repository.capabilities.tagDelete).to.equal('unproven')
    expect((await failureOf(one.repository.manifests.untag('shared-1'))).code).to.equal('FORBIDDEN')
    expect(one.stored.tags.get('shared-1')).to.equal(shared)
  })

  it('asks a token for no more than it needs', async () => {
    const one = await rig({auth: 'bearer', tagDelete: 'off'})
    fill(one)
    await one.repository.manifests.untag('alone')
    expect(await listed(one.repository.tags())).to.not.include('alone')
    expect(one.fake.auth.scopes.map((scopes) => scopes.join(' '))).to.deep.equal([
      'repository:org/store:pull',
      'repository:org/store:delete',
    ])
  })
})
