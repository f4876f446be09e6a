import {expect} from 'chai'
import {createHash, randomBytes} from 'node:crypto'

import {type Digest, digestOf} from '../../../../src/registry/digest.js'
import {MAX_MANIFEST_BYTES} from '../../../../src/registry/manifest.js'
import {MEDIA_TYPE} from '../../../../src/registry/media-types.js'
import {failureOf} from '../../../helpers/failure.js'
import {imageManifest, pushBlob} from '../../../helpers/registry-objects.js'
import {requestsOf, STORE, useRig} from '../../../helpers/remote-rig.js'

const ABSENT = digestOf(Buffer.from('absent'))

describe('manifests of a registry', () => {
  const rig = useRig()

  describe('read', () => {
    it('are one request, and one to look up', async () => {
      const {fake, repository, stored} = await rig()
      const digest = stored.addImage('CONFIG', 'content')
      const {bytes, descriptor, mediaType} = await repository.manifests.get('CONFIG')
      expect(Buffer.from(bytes).equals(stored.manifests.get(digest)!.bytes)).to.equal(true)
      expect(mediaType).to.equal(MEDIA_TYPE.imageManifest)
      expect(descriptor).to.deep.equal({digest, mediaType, size: bytes.byteLength})
      expect(await repository.manifests.resolve('CONFIG')).to.deep.equal(descriptor)
      expect(requestsOf(fake)).to.deep.equal(['GET manifests/CONFIG', 'HEAD manifests/CONFIG'])
    })

    for (const options of [
      {headManifests: 'off'},
      {headManifests: 'no-length'},
      {digestHeader: 'missing'},
      {digestHeader: 'missing', headManifests: 'off'},
    ] as const) {
      it(`are looked up by a GET where HEAD does not tell: ${JSON.stringify(options)}`, async () => {
        const {fake, repository, stored} = await rig(options)
        const digest = stored.addImage('CONFIG', 'content')
        for (let round = 0; round < 3; round++) {
          expect((await repository.manifests.resolve('CONFIG')).digest).to.equal(digest)
        }

        // HEAD is not tried again.
        expect(fake.count('HEAD')).to.equal(1)
        expect((await failureOf(repository.manifests.resolve('absent'))).code).to.equal('NOT_FOUND')
      })
    }

    it('are read again when the connection breaks in their middle', async () => {
      const {fake, repository, stored} = await rig()
      stored.addImage('CONFIG', 'content')
      fake.fail({dropAfter: 10, method: 'GET', times: 3})
      expect((await repository.manifests.get('CONFIG')).bytes.byteLength).to.be.above(100)
      expect(fake.requests).to.have.length(4)
    })

    it('are refused when their bytes are not those of the digest', async () => {
      const {fake, repository, stored} = await rig({digestHeader: 'missing'})
      const digest = stored.addImage('CONFIG', 'content') as Digest
      stored.manifests.get(digest)!.bytes[20] = 0x20
      const error = await failureOf(repository.manifests.get(digest))
      expect(error.code).to.equal('INTEGRITY')
      expect(error.facts['expected']).to.equal(digest)
      fake.options = {digestHeader: 'wrong'}
      expect((await failureOf(repository.manifests.get('CONFIG'))).code).to.equal('INTEGRITY')
      expect((await failureOf(repository.manifests.resolve(digest))).code).to.equal('INTEGRITY')
    })

    it('are refused beyond four MiB, whatever they are', async () => {
      const {fake, repository, stored} = await rig()
      stored.addImage('CONFIG', 'content')
      fake.fail({mangle: () => Buffer.alloc(MAX_MANIFEST_BYTES + 1, 0x20), method: 'GET'})
      expect((await failureOf(repository.manifests.get('CONFIG'))).code).to.equal('PROTOCOL')
      fake.fail({endless: true, method: 'GET'})
      expect((await failureOf(repository.manifests.get('CONFIG'))).code).to.equal('PROTOCOL')
    })

    const image = JSON.stringify({mediaType: MEDIA_TYPE.imageManifest, schemaVersion: 2})
    const wrong: Readonly<Record<string, readonly [string, string]>> = {
      'a list': ['application/json', '[1,2]'],
      'an image that is called an index': [MEDIA_TYPE.imageIndex, image],
      'an image that is called something else': ['application/vnd.example+json', image],
      'a web page': ['text/html; charset=utf-8', '<html></html>'],
      'a web page that is called a manifest': [MEDIA_TYPE.imageManifest, '<html></html>'],
      'cut off': [MEDIA_TYPE.imageManifest, image.slice(0, -1)],
      'JSON of no kind': ['application/json', '{"hello":1}'],
      'nested without end': [MEDIA_TYPE.imageManifest, `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
      nothing: [MEDIA_TYPE.imageManifest, ''],
      'of a kind we do not know': ['application/vnd.example+json', '{"schemaVersion":2}'],
      'of schema 1': ['application/vnd.docker.distribution.manifest.v1+prettyjws', '{"schemaVersion":1}'],
    }
    for (const [name, [type, body]] of Object.entries(wrong)) {
      it(`are refused when they are ${name}`, async () => {
        const {fake, repository, stored} = await rig()
        stored.addImage('CONFIG', 'content')
        fake.fail({body, headers: {'content-type': type}, method: 'GET', status: 200})
        const error = await failureOf(repository.manifests.get('CONFIG'))
        expect(error.code).to.equal('PROTOCOL')
        // The parser's own words repeat the text.
        expect(error.cause).to.equal(undefined)
      })
    }

    const right: readonly (readonly [string, string, string])[] = [
      [`${MEDIA_TYPE.imageManifest}; charset=utf-8`, image, MEDIA_TYPE.imageManifest],
      ['application/json', image, MEDIA_TYPE.imageManifest],
      ['text/plain; charset=utf-8', image, MEDIA_TYPE.imageManifest],
      [MEDIA_TYPE.imageIndex.toUpperCase(), '{"manifests":[]}', MEDIA_TYPE.imageIndex],
      [MEDIA_TYPE.dockerManifest, '{"schemaVersion":2}', MEDIA_TYPE.dockerManifest],
    ]
    for (const [type, body, expected] of right) {
      it(`are taken when sent as ${type}`, async () => {
        const {fake, repository, stored} = await rig()
        stored.addImage('CONFIG', 'content')
        fake.fail({body, headers: {'content-type': type}, method: 'GET', status: 200})
        const got = await repository.manifests.get('CONFIG')
        expect(got.mediaType).to.equal(expected)
        expect(got.descriptor.digest).to.equal(digestOf(Buffer.from(body)))
      })
    }

    it('of a foreign kind can be looked up, and cost nobody the HEAD', async () => {
      const {fake, repository, stored} = await rig()
      const bytes = Buffer.from('{"schemaVersion":1}')
      const digest = digestOf(bytes)
      stored.manifests.set(digest, {bytes, mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws'})
      stored.tags.set('old', digest)
      expect((await repository.manifests.resolve('old')).digest).to.equal(digest)
      stored.addImage('CONFIG', 'content')
      fake.forget()
      await repository.manifests.resolve('CONFIG')
      expect(requestsOf(fake)).to.deep.equal(['HEAD manifests/CONFIG'])
    })
  })

  describe('pushed', () => {
    it('are one PUT, sent again when it fails', async () => {
      const {fake, repository, stored} = await rig()
      const config = await pushBlob(repository, Buffer.from('{}'))
      const manifest = imageManifest(config)
      fake.forget()
      fake.fail({method: 'PUT', status: 503})
      fake.fail({dropRequestAfter: 5, method: 'PUT'})
      const descriptor = await repository.manifests.push(manifest, {tag: 'CONFIG'})
      expect(stored.tags.get('CONFIG')).to.equal(descriptor.digest)
      expect(requestsOf(fake)).to.deep.equal(Array.from({length: 3}, () => 'PUT manifests/CONFIG'))
    })

    it("go under their digest without a tag, or under another algorithm's", async () => {
      const {fake, repository, stored} = await rig()
      const manifest = imageManifest(await pushBlob(repository, Buffer.from('{}')))
      const {digest} = await repository.manifests.push(manifest)
      expect(fake.requests.at(-1)!.path).to.equal(`/v2/${STORE}/manifests/${digest}`)
      const sha512 = `sha512:${createHash('sha512').update(manifest.bytes).digest('hex')}` as Digest
      expect((await repository.manifests.push(manifest, {digest: sha512})).digest).to.equal(sha512)
      expect(stored.manifests.has(sha512)).to.equal(true)
      expect((await failureOf(repository.manifests.push(manifest, {digest: ABSENT}))).code).to.equal('INTEGRITY')
    })

    it('are compared with what the registry says it stored', async () => {
      const {fake, repository, stored} = await rig()
      const manifest = imageManifest(await pushBlob(repository, Buffer.from('{}')))
      fake.options = {digestHeader: 'wrong'}
      expect((await failureOf(repository.manifests.push(manifest, {tag: 'a'}))).code).to.equal('INTEGRITY')
      fake.options = {digestHeader: 'missing'}
      expect((await repository.manifests.push(manifest, {tag: 'a'})).digest).to.equal(stored.tags.get('a'))
    })

    it('are looked at again when durability is wanted, and after any answer but 201', async () => {
      const {fake, open, repository, stored} = await rig()
      const manifest = imageManifest(await pushBlob(repository, Buffer.from('{}')))
      const durable = await open(undefined, {durable: true})
      fake.forget()
      await durable.manifests.push(manifest, {tag: 'a'})
      expect(requestsOf(fake)).to.deep.equal(['PUT manifests/a', 'HEAD manifests/a'])
      fake.fail({method: 'PUT', status: 201})
      expect((await failureOf(durable.manifests.push(manifest, {tag: 'b'}))).code).to.equal('INTEGRITY')
      fake.fail({method: 'PUT', status: 202})
      const absent = await failureOf(repository.manifests.push(manifest, {tag: 'b'}))
      expect(absent.code).to.equal('INTEGRITY')
      expect(absent.message).to.contain('is not there after it was pushed')
      const other = stored.addImage('b', 'other')
      fake.fail({method: 'PUT', status: 202})
      const error = await failureOf(repository.manifests.push(manifest, {tag: 'b'}))
      expect(error.facts['actual']).to.equal(other)
      expect(error.code).to.equal('INTEGRITY')
    })

    it('are refused with the reason that the registry gives', async () => {
      const {repository} = await rig()
      const missing = {digest: ABSENT, mediaType: MEDIA_TYPE.imageConfig, size: 2}
      const error = await failureOf(repository.manifests.push(imageManifest(missing), {tag: 'a'}))
      expect(error.facts['registryCode']).to.equal('MANIFEST_BLOB_UNKNOWN')
      expect(error.facts['status']).to.equal(400)
    })

    it('are refused under an immutable tag', async () => {
      const {repository, stored} = await rig({immutableTags: true})
      const digest = stored.addImage('a', 'first')
      const config = await pushBlob(repository, Buffer.from('{}'))
      const error = await failureOf(repository.manifests.push(imageManifest(config), {tag: 'a'}))
      expect(error.facts['status']).to.equal(409)
      expect(stored.tags.get('a')).to.equal(digest)
    })

    it('are not sent when they are too large, or no kind is named', async () => {
      const {fake, repository} = await rig()
      const bytes = randomBytes(MAX_MANIFEST_BYTES + 1)
      const mediaType = MEDIA_TYPE.imageManifest
      expect((await failureOf(repository.manifests.push({bytes, mediaType}, {tag: 'a'}))).code).to.equal(
        'INVALID_ARGUMENT',
      )
      expect((await failureOf(repository.manifests.push({bytes: Buffer.from('{}'), mediaType: ''}))).code).to.equal(
        'INVALID_ARGUMENT',
      )
      expect(fake.requests).to.have.length(0)
    })
  })

  it('are tagged with their own bytes', async () => {
    const {fake, repository, stored} = await rig()
    const digest = stored.addImage('a', 'content')
    const target = await repository.manifests.resolve('a')
    fake.forget()
    await repository.manifests.tag(target, 'b')
    expect(stored.tags.get('b')).to.equal(digest)
    expect(fake.requests).to.have.length(2)
  })

  describe('deleted', () => {
    it('are gone with their tags', async () => {
      const {repository, stored} = await rig()
      const digest = stored.addImage('a', 'content') as Digest
      await repository.manifests.delete(digest)
      expect(stored.tags.size).to.equal(0)
      expect((await failureOf(repository.manifests.delete(digest))).code).to.equal('NOT_FOUND')
    })

    it('are not where the registry does not delete', async () => {
      const {repository, stored} = await rig({digestDelete: 'off'})
      const digest = stored.addImage('a', 'content') as Digest
      expect((await failureOf(repository.manifests.delete(digest))).code).to.equal('UNSUPPORTED')
    })

    it('need the right to', async () => {
      const {fake, repository, stored} = await rig({auth: 'bearer'})
      const digest = stored.addImage('a', 'content') as Digest
      fake.fail({method: 'DELETE', status: 403, times: 9})
      expect((await failureOf(repository.manifests.delete(digest))).code).to.equal('FORBIDDEN')
      expect(stored.manifests.has(digest)).to.equal(true)
    })
  })
})
