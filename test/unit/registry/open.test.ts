import {expect} from 'chai'
import {join} from 'node:path'

import {LayoutRepository} from '../../../src/registry/layout/repository.js'
import {openRepository} from '../../../src/registry/open.js'
import {RemoteRepository} from '../../../src/registry/remote/remote-repository.js'
import {failureOf} from '../../helpers/failure.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {scratchDir} from '../../helpers/hooks.js'
import {listed, pushObject} from '../../helpers/registry-objects.js'

describe('opening a repository', () => {
  it('of a registry contacts nobody', async () => {
    const repository = await openRepository('oci://registry.invalid/org/store')
    expect(repository).to.be.instanceOf(RemoteRepository)
    expect(repository.location).to.equal('oci://registry.invalid/org/store')
    await repository.close()
  })

  it('in a directory makes it only when told to', async () => {
    const path = join(scratchDir('open'), 'store.oci')
    const location = `oci-layout:${path}`
    expect((await failureOf(openRepository(location))).code).to.equal('NOT_FOUND')
    const repository = await openRepository(location, {create: true, durable: false})
    expect(repository).to.be.instanceOf(LayoutRepository)
    await pushObject(repository, 'a')
    await repository.close()
    const reader = await openRepository(location, {readOnly: true})
    expect(await listed(reader.tags())).to.deep.equal(['a'])
    expect((await failureOf(pushObject(reader, 'b'))).code).to.equal('UNSUPPORTED')
    await reader.close()
  })

  for (const location of [
    '',
    'registry.example/org/store',
    '/some/path',
    'http://registry.example/org/store',
    'oci://registry.example',
    'oci://registry.example/Org/Store',
    'oci://user:canary@registry.example/org/store',
    'oci-layout:',
  ]) {
    it(`refuses ${JSON.stringify(location)}`, async () => {
      const error = await failureOf(openRepository(location))
      expect(error.code).to.equal('INVALID_REFERENCE')
      expect(error.suggestions).to.have.length.above(0)
      expect(JSON.stringify(error)).to.not.include('canary')
    })
  }

  for (const suffix of [':tag', `@sha256:${'0'.repeat(64)}`]) {
    it(`refuses one tag or digest of a repository: ${suffix}`, async () => {
      const error = await failureOf(openRepository(`oci://registry.example/org/store${suffix}`))
      expect(error.code).to.equal('INVALID_REFERENCE')
      expect(error.suggestions[0]).to.include('oci://registry.example/org/store')
    })
  }

  it('speaks https to a registry, unless it is this machine or plain http is asked for', async () => {
    const fake = await FakeRegistry.start()
    try {
      const plain = await openRepository(`oci://${fake.host}/org/store`)
      await plain.ping()
      await plain.close()
      const secure = await openRepository(`oci://${fake.host}/org/store`, {plainHttp: false, retry: {attempts: 1}})
      const error = await failureOf(secure.ping())
      expect(error.code).to.equal('UNREACHABLE')
      expect(error.message).to.include('https://')
      await secure.close()
    } finally {
      await fake.stop()
    }
  })

  it('refuses a certificate file that is not there', async () => {
    const error = await failureOf(
      openRepository('oci://registry.example/org/store', {tls: {caFile: join(scratchDir('open'), 'ca.pem')}}),
    )
    expect(error.code).to.be.oneOf(['INVALID_ARGUMENT', 'IO'])
  })
})
