import {expect} from 'chai'

import type {FakeOptions} from '../helpers/fake-registry.js'

import {anonymousCredentials} from '../../src/registry/auth/credentials.js'
import {openRepository} from '../../src/registry/open.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {describeStoreContract} from './store-contract.js'

const KINDS: Readonly<Record<string, FakeOptions>> = {
  'an ordinary registry': {referrers: true},
  'a registry without HEAD, digests, ranges and mounts': {
    digestHeader: 'missing',
    headBlobs: 'off',
    headManifests: 'off',
    mount: 'ignored',
    ranges: 'ignored',
    referrers: false,
    tagPage: 7,
  },
  'a registry without tag DELETE (as distribution 2.8)': {
    location: 'absolute',
    tagDelete: 'digest-invalid',
    tagOrder: 'insertion',
    tagPaging: 'none',
  },
}

for (const [name, options] of Object.entries(KINDS)) {
  describeStoreContract(`remote: ${name}`, async () => {
    const fake = await FakeRegistry.start(options)
    return {
      async close() {
        await fake.stop()
        expect(fake.violations).to.deep.equal([])
      },
      repository: await openRepository(`oci://${fake.host}/org/store`, {credentials: anonymousCredentials}),
    }
  })
}
