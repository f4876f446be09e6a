import {expect} from 'chai'
import {randomBytes} from 'node:crypto'

import {failureOf} from '../../../helpers/failure.js'
import {blobOf} from '../../../helpers/registry-objects.js'
import {requestsOf, useRig} from '../../../helpers/remote-rig.js'

const BYTES = randomBytes(1000)
const BLOB = blobOf(BYTES)

describe('mounts from another repository', () => {
  const rig = useRig()

  it('bring the blob without sending it, in one request after the first', async () => {
    const {fake, repository, stored} = await rig()
    const other = fake.repository('other/store')
    other.addBlob(BYTES)
    const second = blobOf(Buffer.from('second'))
    other.addBlob('second')
    expect(await repository.blobs.mount(BLOB, 'other/store')).to.equal(true)
    expect(stored.blobs.get(BLOB.digest)?.equals(BYTES)).to.equal(true)
    // The first yes is looked at.
    expect(requestsOf(fake)).to.have.length(2)
    fake.forget()
    expect(await repository.blobs.mount(second, 'other/store')).to.equal(true)
    expect(fake.requests).to.have.length(1)
  })

  it('ask for the right to read there', async () => {
    const {fake, repository} = await rig({auth: 'bearer'})
    fake.repository('other/store').addBlob(BYTES)
    expect(await repository.blobs.mount(BLOB, 'other/store')).to.equal(true)
    expect(fake.auth.scopes[0]).to.have.members(['repository:org/store:pull,push', 'repository:other/store:pull'])
  })

  it('leave no upload behind when they are declined', async () => {
    const {fake, repository, stored} = await rig()
    expect(await repository.blobs.mount(BLOB, 'other/store')).to.equal(false)
    expect(stored.uploads.size).to.equal(0)
    expect(fake.count('DELETE')).to.equal(1)
  })

  it('are not tried for ever where they never work', async () => {
    const {fake, repository} = await rig({mount: 'ignored'})
    fake.repository('other/store').addBlob(BYTES)
    for (let round = 0; round < 10; round++) expect(await repository.blobs.mount(BLOB, 'other/store')).to.equal(false)
    expect(fake.count('POST')).to.equal(3)
  })

  it('are tried once where they are refused', async () => {
    const {fake, repository} = await rig({mount: 'refused'})
    for (let round = 0; round < 3; round++) expect(await repository.blobs.mount(BLOB, 'other/store')).to.equal(false)
    expect(fake.requests).to.have.length(1)
  })

  for (const status of [401, 403, 404, 405]) {
    it(`are declined by ${status}`, async () => {
      const {fake, repository} = await rig()
      fake.fail({method: 'POST', status, times: 9})
      expect(await repository.blobs.mount(BLOB, 'other/store')).to.equal(false)
    })
  }

  it('are not believed when the blob does not come', async () => {
    const {repository} = await rig({mount: 'lies'})
    expect(await repository.blobs.mount(BLOB, 'other/store')).to.equal(false)
  })

  it('fail when the registry is down', async () => {
    const {fake, repository} = await rig()
    fake.fail({method: 'POST', status: 503, times: 99})
    expect((await failureOf(repository.blobs.mount(BLOB, 'other/store'))).code).to.equal('REGISTRY')
  })

  it('from what is no repository are declined without a request', async () => {
    const {fake, repository} = await rig()
    for (const name of ['', 'UPPER', 'a/../b', 'a b']) expect(await repository.blobs.mount(BLOB, name)).to.equal(false)
    expect(fake.requests).to.have.length(0)
  })
})
