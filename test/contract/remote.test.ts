import {expect} from 'chai'

import type {FakeOptions} from '../helpers/fake-registry.js'

import {anonymousCredentials} from '../../src/registry/auth/credentials.js'
import {openRepository} from '../../src/registry/open.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {describeRepositoryContract} from './repository-contract.js'

/** Registries as they come: what the specification has, and what the well-known ones make of it. */
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
  'blobs behind a redirect, uploads in chunks, pages of 50': {
    blobs: 'redirect',
    chunkMinLength: 1000,
    maxChunk: 512 * 1024,
    maxMonolithic: 256 * 1024,
    tagDelete: 'cascade',
    tagPage: 50,
  },
}

for (const [name, options] of Object.entries(KINDS)) {
  describeRepositoryContract(`remote: ${name}`, async () => {
    const fake = await FakeRegistry.start(options)
    const open = async (path: string) =>
      openRepository(`oci://${fake.host}/${path}`, {credentials: anonymousCredentials})
    return {
      async close() {
        await fake.stop()
        expect(fake.violations).to.deep.equal([])
      },
      repository: await open('org/one'),
      ...(options.mount !== 'ignored' && {sibling: open}),
    }
  })
}
