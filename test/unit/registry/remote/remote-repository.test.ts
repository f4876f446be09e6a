import {expect} from 'chai'
import {buffer} from 'node:stream/consumers'

import {failureOf} from '../../../helpers/failure.js'
import {listed, pushBlob, pushObject} from '../../../helpers/registry-objects.js'
import {requestsOf, useRig} from '../../../helpers/remote-rig.js'

describe('repository of a registry', () => {
  const rig = useRig()

  describe('ping', () => {
    it('is one request', async () => {
      const {fake, repository} = await rig()
      await repository.ping()
      expect(requestsOf(fake)).to.deep.equal(['GET /v2/'])
    })

    it('says what stands in the way', async () => {
      const {fake, repository} = await rig()
      for (const [fault, code] of [
        [{status: 401}, 'UNAUTHORIZED'],
        [{status: 403}, 'FORBIDDEN'],
        [{status: 404}, 'NOT_FOUND'],
        [{html: true}, 'PROTOCOL'],
        [{status: 500}, 'REGISTRY'],
      ] as const) {
        fake.forget()
        fake.fail({...fault, times: 99})
        expect((await failureOf(repository.ping())).code).to.equal(code)
      }
    })
  })

  describe('access', () => {
    it('is tried out and leaves nothing behind', async () => {
      const {fake, repository, stored} = await rig({auth: 'bearer'})
      expect(await repository.access()).to.deep.equal({read: true, write: true})
      expect(stored.uploads.size).to.equal(0)
      fake.fail({method: 'POST', status: 403, times: 9})
      expect(await repository.access()).to.deep.equal({read: true, write: false})
      fake.fail({path: /tags/, status: 401, times: 9})
      expect(await repository.access()).to.deep.equal({read: false, write: false})
    })

    it('for writing is proved by what was written', async () => {
      const {fake, repository} = await rig()
      await pushObject(repository, 'a')
      const before = fake.requests.length
      expect(await repository.access()).to.deep.equal({read: true, write: true})
      expect(fake.requests.slice(before).map(({method}) => method)).to.deep.equal(['GET'])
    })

    it('to a repository that does not exist yet is there', async () => {
      const {fake, repository} = await rig()
      fake.repositories.clear()
      expect(await repository.access()).to.deep.equal({read: true, write: true})
    })

    it('is not what a failing registry says', async () => {
      const {fake, repository} = await rig()
      fake.fail({method: 'POST', status: 503, times: 99})
      expect((await failureOf(repository.access())).code).to.equal('REGISTRY')
    })
  })

  it('opened for reading refuses writes before they leave', async () => {
    const {fake, open, stored} = await rig()
    stored.addImage('a', 'content')
    const repository = await open(undefined, {readOnly: true})
    expect(await listed(repository.tags())).to.deep.equal(['a'])
    const before = fake.requests.length
    const {digest} = await repository.manifests.resolve('a')
    for (const write of [
      pushBlob(repository, Buffer.from('x')),
      pushObject(repository, 'b'),
      repository.manifests.delete(digest),
      repository.blobs.delete(digest),
      repository.manifests.untag('a'),
    ]) {
      expect((await failureOf(write)).code).to.equal('UNSUPPORTED')
    }

    expect(fake.requests.slice(before).every(({method}) => method === 'HEAD' || method === 'GET')).to.equal(true)
    expect(await repository.access()).to.deep.equal({read: true, write: false})
  })

  it('asks each token for what the call needs', async () => {
    const {fake, repository, stored} = await rig({auth: 'bearer'})
    stored.addImage('a', 'content')
    await listed(repository.tags())
    await repository.manifests.get('a')
    await pushBlob(repository, Buffer.from('new'))
    await repository.manifests.untag('a', {deleteManifest: false})
    expect(fake.auth.scopes.map((scopes) => scopes.join(' '))).to.deep.equal([
      'repository:org/store:pull',
      'repository:org/store:pull,push',
      'repository:org/store:delete',
    ])
  })

  it('keeps its connection through everything', async () => {
    const {fake, repository} = await rig()
    const {config, descriptor, layer} = await pushObject(repository, 'a', 'x'.repeat(2_000_000))
    for (let round = 0; round < 5; round++) {
      await buffer(await repository.blobs.fetch(layer))
      await buffer(await repository.blobs.fetch(layer, {range: {length: 1000, offset: round * 300_000}}))
      await buffer(await repository.blobs.fetch(layer, {range: {length: 1_000_000, offset: 300_000}}))
      await repository.blobs.resolve(config.digest)
      await repository.manifests.get('a')
      await repository.manifests.resolve('a')
      await listed(repository.tags())
      await pushObject(repository, `b${round}`)
      await repository.manifests.tag(descriptor, `c${round}`)
      await repository.manifests.untag(`b${round}`)
      await listed(repository.referrers(descriptor.digest))
      await repository.ping()
      await failureOf(repository.manifests.get('absent'))
    }

    expect(fake.connections).to.equal(1)
    fake.options = {ranges: 'ignored'}
    // Here the rest of the blob is not worth reading.
    await buffer(await repository.blobs.fetch(layer, {range: {length: 1000, offset: 1000}}))
    await repository.ping()
    expect(fake.connections).to.be.within(1, 2)
  })

  it('is written as an operator writes it, without a login', async () => {
    const {fake, repository} = await rig({auth: 'basic'})
    expect(repository.location).to.equal(`oci://${fake.host}/org/store`)
    await repository.ping()
  })
})
