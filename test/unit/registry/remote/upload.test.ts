import {expect} from 'chai'
import {createHash, randomBytes} from 'node:crypto'
import {Readable} from 'node:stream'

import {type Digest, digestOf} from '../../../../src/registry/digest.js'
import {MEDIA_TYPE} from '../../../../src/registry/media-types.js'
import {bufferSource, type ContentSource} from '../../../../src/util/content-source.js'
import {failureOf} from '../../../helpers/failure.js'
import {blobOf, imageManifest, lyingSource, pushBlob} from '../../../helpers/registry-objects.js'
import {countedSource, requestsOf, type Rig, useRig} from '../../../helpers/remote-rig.js'

const MIB = 1024 * 1024
const BYTES = randomBytes(3 * MIB)
const BLOB = blobOf(BYTES)
const SHORT = BLOB.digest.slice(7, 11)

function stored({stored: {blobs}}: Rig): boolean {
  return blobs.get(BLOB.digest)?.equals(BYTES) ?? false
}

describe('uploads to a registry', () => {
  const rig = useRig()

  describe('in few requests', () => {
    it('take two a blob and one a manifest, once mounts have proved right', async () => {
      const {fake, repository} = await rig()
      const config = await pushBlob(repository, Buffer.from('{}'))
      expect(repository.capabilities.mountTells).to.equal('yes')
      // Once per repository: the answer to the mount is compared with a HEAD, and a mount of what is there is tried.
      expect(requestsOf(fake).map((request) => request.split(/[ ?]/, 2).join(' '))).to.deep.equal([
        'POST blobs/uploads/',
        'HEAD blobs/4413',
        'PUT blobs/uploads/ID',
        'POST blobs/uploads/',
      ])
      fake.forget()
      for (let object = 0; object < 5; object++) {
        const layer = await pushBlob(repository, randomBytes(1000))
        const manifest = imageManifest(config, {annotations: {n: String(object)}, layers: [layer]})
        await repository.manifests.push(manifest, {tag: `t${object}`})
      }

      expect(fake.requests).to.have.length(15)
    })

    it('are one when the blob is there', async () => {
      const {fake, repository} = await rig()
      await pushBlob(repository, Buffer.from('{}'))
      await pushBlob(repository, BYTES)
      fake.forget()
      expect(await repository.blobs.push(BLOB, bufferSource(BYTES))).to.equal(false)
      expect(fake.requests).to.have.length(1)
      expect(fake.requests[0]!.bodyBytes).to.equal(0)
    })

    it('ask nothing when forced', async () => {
      const {fake, repository} = await rig()
      expect(await repository.blobs.push(BLOB, bufferSource(BYTES), {force: true})).to.equal(true)
      expect(await repository.blobs.push(BLOB, bufferSource(BYTES), {force: true})).to.equal(true)
      expect(requestsOf(fake)).to.deep.equal([
        'POST blobs/uploads/',
        'PUT blobs/uploads/ID',
        'POST blobs/uploads/',
        'PUT blobs/uploads/ID',
      ])
    })

    it('of one digest at the same time are one', async () => {
      const {fake, repository} = await rig()
      const sources = Array.from({length: 8}, () => countedSource(BYTES))
      const sent = await Promise.all(sources.map(async (source) => repository.blobs.push(BLOB, source)))
      expect(sent.filter(Boolean)).to.have.length(1)
      expect(sources.reduce((sum, {opened}) => sum + opened, 0)).to.equal(1)
      expect(fake.count('PUT')).to.equal(1)
    })
  })

  describe('never send an existing blob again', () => {
    for (const mount of ['full', 'ignored', 'lies', 'refused'] as const) {
      it(`and always send a new one, where mounts are: ${mount}`, async () => {
        const {fake, open, repository, stored: store} = await rig({mount})
        for (const one of [repository, await open()]) {
          const source = countedSource(BYTES)
          expect(await one.blobs.push(BLOB, source)).to.equal(one === repository)
          expect(source.opened).to.equal(one === repository ? 1 : 0)
          for (let round = 0; round < 4; round++) {
            const bytes = randomBytes(5000)
            expect(await one.blobs.push(blobOf(bytes), bufferSource(bytes))).to.equal(true)
            expect(store.blobs.get(digestOf(bytes))?.equals(bytes)).to.equal(true)
            expect(await one.blobs.push(blobOf(bytes), bufferSource(bytes))).to.equal(false)
          }
        }

        expect(repository.capabilities.mountTells).to.equal(mount === 'full' ? 'yes' : 'no')
        // No upload is left open.
        expect(store.uploads.size).to.equal(0)
        expect(fake.requests.every(({status}) => (status ?? 500) < 500)).to.equal(true)
      })
    }

    it('but send a blob that lies there cut short', async () => {
      const broken = await rig({mount: 'ignored'})
      broken.stored.blobs.set(BLOB.digest, BYTES.subarray(0, 100))
      expect(await broken.repository.blobs.push(BLOB, bufferSource(BYTES))).to.equal(true)
      expect(stored(broken)).to.equal(true)
    })

    it('ask again what was acknowledged, when durability is wanted', async () => {
      const {fake, repository, stored: store} = await rig({}, {durable: true})
      await pushBlob(repository, Buffer.from('{}'))
      fake.forget()
      await pushBlob(repository, BYTES)
      expect(requestsOf(fake).at(-1)).to.equal(`HEAD blobs/${SHORT}`)
      fake.fail({method: 'PUT', path: /uploads/, status: 201})
      const other = randomBytes(100)
      expect((await failureOf(repository.blobs.push(blobOf(other), bufferSource(other)))).code).to.equal('INTEGRITY')
      // A registry that says 201 to a mount of what it has not.
      fake.options = {mount: 'lies'}
      expect((await failureOf(repository.blobs.push(blobOf(other), bufferSource(other)))).code).to.equal('INTEGRITY')
      expect(store.blobs.has(digestOf(other))).to.equal(false)
    })
  })

  describe('use the Location they are given', () => {
    for (const location of ['relative', 'absolute', 'other-origin'] as const) {
      it(`verbatim, without credentials for others: ${location}`, async () => {
        const one = await rig({auth: 'bearer', location})
        await one.repository.blobs.push(BLOB, bufferSource(BYTES))
        expect(stored(one)).to.equal(true)
        const elsewhere = one.fake.requests.filter(({origin}) => origin === 'storage')
        expect(elsewhere.length > 0).to.equal(location === 'other-origin')
      })
    }

    for (const value of [undefined, '', 'ftp://127.0.0.1/x', 'http://[']) {
      it(`and stop without a usable one: ${value}`, async () => {
        const {fake, repository, stored: store} = await rig()
        fake.fail({headers: {location: value}, method: 'POST'})
        const error = await failureOf(repository.blobs.push(BLOB, bufferSource(BYTES), {force: true}))
        expect(error.code).to.equal('PROTOCOL')
        expect(store.blobs.size).to.equal(0)
      })
    }
  })

  describe('begin again', () => {
    for (const status of [408, 429, 500, 502, 503, 504]) {
      it(`after ${status}, at any point, with a new session`, async () => {
        const one = await rig()
        one.fake.fail({method: 'POST', path: /uploads/, status})
        one.fake.fail({method: 'PUT', path: /uploads/, status})
        const source = countedSource(BYTES)
        await one.repository.blobs.push(BLOB, source, {force: true})
        expect(stored(one)).to.equal(true)
        expect(one.fake.count('POST')).to.equal(3)
        expect(one.fake.count('PUT')).to.equal(2)
        expect(one.clock.sleeps).to.have.length(2)
        // The upload that failed was cancelled.
        expect(one.fake.count('DELETE', /uploads/)).to.equal(1)
        expect(one.stored.uploads.size).to.equal(0)
      })
    }

    it('after a lost connection in the middle of the body', async () => {
      const one = await rig()
      one.fake.fail({dropRequestAfter: 100_000, method: 'PUT', path: /uploads/})
      const source = countedSource(BYTES)
      await one.repository.blobs.push(BLOB, source)
      expect(source.opened).to.equal(2)
      expect(stored(one)).to.equal(true)
      expect(one.stored.uploads.size).to.equal(0)
    })

    it('when the registry has forgotten the upload', async () => {
      const one = await rig()
      one.fake.fail({before: () => one.stored.uploads.clear(), method: 'PUT', path: /uploads/})
      await one.repository.blobs.push(BLOB, bufferSource(BYTES))
      expect(stored(one)).to.equal(true)
    })

    it('when the bytes arrived damaged, once', async () => {
      const {fake, repository, stored: store} = await rig()
      const body = JSON.stringify({errors: [{code: 'DIGEST_INVALID'}]})
      fake.fail({body, method: 'PUT', path: /uploads/, status: 400})
      await repository.blobs.push(BLOB, bufferSource(BYTES))
      expect(store.blobs.has(BLOB.digest)).to.equal(true)
      fake.fail({body, method: 'PUT', path: /uploads/, status: 400, times: 99})
      const other = randomBytes(100)
      const error = await failureOf(repository.blobs.push(blobOf(other), bufferSource(other)))
      expect(error.facts['registryCode']).to.equal('DIGEST_INVALID')
      expect(store.uploads.size).to.equal(0)
    })

    it('no more often than the policy says', async () => {
      const {fake, repository, stored: store} = await rig({}, {retry: {attempts: 3}})
      fake.fail({method: 'PUT', path: /uploads/, status: 503, times: 99})
      const error = await failureOf(repository.blobs.push(BLOB, bufferSource(BYTES), {force: true}))
      expect(error.code).to.equal('REGISTRY')
      expect(fake.count('PUT')).to.equal(3)
      expect(store.uploads.size).to.equal(0)
      fake.forget()
      fake.fail({dropRequestAfter: 10, method: 'PUT', path: /uploads/, times: 99})
      const lost = await failureOf(pushBlob(repository, randomBytes(1000)))
      expect(lost.code).to.equal('UNREACHABLE')
      expect(lost.facts['attempts']).to.equal(3)
    })

    it('with a new token when the old one ends in the middle', async () => {
      const one = await rig({auth: 'bearer'})
      await pushBlob(one.repository, Buffer.from('{}'))
      one.fake.fail({before: () => one.fake.auth.revoke(), method: 'PUT', path: /uploads/})
      await one.repository.blobs.push(BLOB, bufferSource(BYTES))
      expect(stored(one)).to.equal(true)
    })

    for (const status of [400, 401, 403, 409, 422]) {
      it(`not after ${status}`, async () => {
        const {fake, repository, stored: store} = await rig()
        fake.fail({method: 'PUT', path: /uploads/, status, times: 99})
        const error = await failureOf(repository.blobs.push(BLOB, bufferSource(BYTES), {force: true}))
        expect(error.facts['status']).to.equal(status)
        expect(fake.count('PUT')).to.equal(1)
        expect(store.uploads.size).to.equal(0)
      })
    }
  })

  describe('show nothing', () => {
    it('when the source is not what it says', async () => {
      const other = Buffer.from(BYTES)
      other[5] = 255 - other[5]!
      for (const source of [
        lyingSource(BYTES.length, other),
        lyingSource(BYTES.length, BYTES.subarray(1)),
        lyingSource(BYTES.length, BYTES, Buffer.from('x')),
      ]) {
        const {fake, repository, stored: store} = await rig()
        expect((await failureOf(repository.blobs.push(BLOB, source))).code).to.equal('INTEGRITY')
        expect(store.blobs.size).to.equal(0)
        expect(store.uploads.size).to.equal(0)
        expect(fake.requests.every(({bodyBytes}) => bodyBytes < BYTES.length)).to.equal(true)
      }
    })

    it('when the size is known to be wrong, without a request', async () => {
      const {fake, repository} = await rig()
      expect((await failureOf(repository.blobs.push({...BLOB, size: 5}, bufferSource(BYTES)))).code).to.equal(
        'INTEGRITY',
      )
      expect((await failureOf(repository.blobs.push({...BLOB, size: -1}, bufferSource(BYTES)))).code).to.equal(
        'INVALID_ARGUMENT',
      )
      expect(fake.requests).to.have.length(0)
    })

    for (const method of ['POST', 'HEAD', 'PUT'] as const) {
      it(`when they are aborted while a ${method} waits`, async () => {
        const {fake, repository, stored: store} = await rig()
        const controller = new AbortController()
        fake.fail({before: () => setTimeout(() => controller.abort(new Error('enough')), 20), hang: true, method})
        const source = countedSource(BYTES)
        const error = await failureOf(repository.blobs.push(BLOB, source, {signal: controller.signal}))
        expect(error.code).to.equal('INTERRUPTED')
        expect(store.blobs.size).to.equal(0)
        // Cancelled although the caller's signal has ended.
        expect(store.uploads.size).to.equal(0)
        expect(fake.count('DELETE')).to.equal(method === 'POST' ? 0 : 1)
      })
    }

    it('when they are aborted between two tries', async () => {
      const {fake, repository} = await rig()
      const controller = new AbortController()
      fake.fail({before: () => controller.abort(), method: 'PUT', status: 503, times: 9})
      expect(
        (await failureOf(repository.blobs.push(BLOB, bufferSource(BYTES), {signal: controller.signal}))).code,
      ).to.equal('INTERRUPTED')
      expect(fake.count('PUT')).to.equal(1)
    })

    it('when the digest that comes back is another', async () => {
      const {repository} = await rig({digestHeader: 'wrong'})
      expect((await failureOf(repository.blobs.push(BLOB, bufferSource(BYTES), {force: true}))).code).to.equal(
        'INTEGRITY',
      )
    })
  })

  it('of sha512 say so when they start', async () => {
    const {fake, repository, stored: store} = await rig()
    const digest = `sha512:${createHash('sha512').update(BYTES).digest('hex')}` as Digest
    const target = {digest, mediaType: MEDIA_TYPE.octetStream, size: BYTES.length}
    await repository.blobs.push(target, bufferSource(BYTES), {force: true})
    expect(store.blobs.has(digest)).to.equal(true)
    expect(fake.requests[0]!.path).to.include('digest-algorithm=sha512')
    expect((await repository.blobs.resolve(digest)).size).to.equal(BYTES.length)
  })

  it('believe a 202 or 204 only when the blob is there', async () => {
    const {fake, repository, stored: store} = await rig()
    for (const status of [202, 204]) {
      const bytes = randomBytes(100)
      fake.fail({method: 'PUT', status})
      expect((await failureOf(repository.blobs.push(blobOf(bytes), bufferSource(bytes)))).code).to.equal('INTEGRITY')
      fake.fail({before: () => store.blobs.set(digestOf(bytes), bytes), method: 'PUT', status})
      expect(await repository.blobs.push(blobOf(bytes), bufferSource(bytes))).to.equal(true)
    }
  })

  it('do not end a follower with the leader', async () => {
    const {fake, repository, stored: store} = await rig()
    const controller = new AbortController()
    fake.fail({before: () => setTimeout(() => controller.abort(), 20), hang: true, method: 'PUT'})
    const leader = failureOf(repository.blobs.push(BLOB, bufferSource(BYTES), {signal: controller.signal}))
    const follower = repository.blobs.push(BLOB, bufferSource(BYTES))
    expect((await leader).code).to.equal('INTERRUPTED')
    expect(await follower).to.equal(true)
    expect(store.blobs.has(BLOB.digest)).to.equal(true)
  })

  it('leave a source that is slow its time, and keep its pace', async () => {
    const one = await rig()
    let ahead = 0
    const slow: ContentSource = {
      open: () =>
        Readable.from(
          (async function* () {
            for (let at = 0; at < BYTES.length; at += 256 * 1024) {
              ahead += 1
              yield BYTES.subarray(at, at + 256 * 1024)
            }
          })(),
          {highWaterMark: 1, objectMode: false},
        ),
      size: BYTES.length,
    }
    await one.repository.blobs.push(BLOB, slow)
    expect(stored(one)).to.equal(true)
    expect(ahead).to.equal(12)
  })
})
