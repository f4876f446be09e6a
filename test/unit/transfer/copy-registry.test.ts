import {expect} from 'chai'

import {tagOf} from '../../../src/kloset/resource.js'
import {openRepository} from '../../../src/registry/open.js'
import {copyExitCode} from '../../../src/transfer/index.js'
import {HELD_BYTES} from '../../../src/util/content-source.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {storeWithPackfiles} from '../../helpers/test-store.js'
import {copied} from './copies.js'

/** Packfiles that are fetched before they are sent, and such as are sent while they are fetched. */
for (const [size, padding] of Object.entries({large: 2 * HELD_BYTES, small: 0}))
  describe(`copy of ${size} objects between registries`, () => {
    let fakes: FakeRegistry[]

    beforeEach(async () => {
      fakes = [await FakeRegistry.start(), await FakeRegistry.start()]
    })

    afterEach(async () => {
      for (const fake of fakes) {
        expect(fake.violations).to.deep.equal([])
        await fake.stop()
      }
    })

    /** A copy of a store of three packfiles from the first registry to the second, the first having been damaged. */
    async function copyDamaged(change: (bytes: Buffer) => Buffer) {
      const {packfiles, repository, store} = await storeWithPackfiles(3, {padding})
      const [from, to] = await Promise.all(
        fakes.map(async (fake) => openRepository(`oci://${fake.host}/main`, {retry: {attempts: 2, baseDelay: 1}})),
      )
      try {
        await copied(repository, from)
        const {digest} = await store.stat('packfile', packfiles[1]!)
        const {blobs} = fakes[0]!.repository('main')
        blobs.set(digest, change(blobs.get(digest)!))
        const {statuses, summary} = await copied(from!, to)
        return {digest, status: statuses[tagOf('packfile', packfiles[1]!)], summary}
      } finally {
        await Promise.all([from!.close(), to!.close()])
      }
    }

    for (const [what, change] of Object.entries({
      'a changed last byte': (bytes: Buffer) =>
        Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])]), // eslint-disable-line no-bitwise -- a flipped bit
      'a missing byte': (bytes: Buffer) => bytes.subarray(1),
      'one byte too many': (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('!')]),
    })) {
      it(`never completes a blob with ${what} at the target`, async () => {
        const {digest, status, summary} = await copyDamaged(change)
        expect(status).to.equal('failed')
        expect(summary).to.include({complete: false, damaged: 1})
        const {blobs, manifests, tags} = fakes[1]!.repository('main')
        expect(blobs.has(digest)).to.equal(false)
        // CONFIG, the other two and the state.
        expect([tags.size, manifests.size]).to.deep.equal([4, 4])
        // The upload was given up before its last byte.
        expect(fakes[1]!.requests.filter(({method, status: code}) => method === 'PUT' && code === 400)).to.deep.equal(
          [],
        )
      })
    }

    it('sends an object again whose upload the target loses once', async () => {
      const {packfiles, repository, store} = await storeWithPackfiles(1, {padding})
      const to = await openRepository(`oci://${fakes[1]!.host}/main`, {retry: {attempts: 1}})
      try {
        fakes[1]!.fail({method: 'PUT', path: /uploads/, status: 404, times: 1})
        const {summary} = await copied(repository, to, {concurrency: 1})
        expect(copyExitCode(summary)).to.equal(0)
        const {digest} = await store.stat('packfile', packfiles[0]!)
        expect(fakes[1]!.repository('main').blobs.has(digest)).to.equal(true)
      } finally {
        await to.close()
      }
    })

    it('knows the side that broke an upload on its way', async () => {
      const {repository} = await storeWithPackfiles(1, {padding})
      const [from, to] = await Promise.all(
        fakes.map(async (fake) => openRepository(`oci://${fake.host}/main`, {retry: {attempts: 1}})),
      )
      try {
        await copied(repository, from)
        fakes[0]!.fail({dropAfter: 10, method: 'GET', path: /blobs/, times: 99})
        const {outcomes} = await copied(from!, to, {concurrency: 1}).catch((error: unknown) => ({outcomes: error}))
        expect(outcomes).to.have.property('code', 'UNREACHABLE')
        expect(outcomes).to.have.property('message').that.includes(fakes[0]!.host)
      } finally {
        await Promise.all([from!.close(), to!.close()])
      }
    })

    it('does not call an object damaged whose upload the target loses', async () => {
      const {packfiles, repository, store} = await storeWithPackfiles(1, {padding})
      const to = await openRepository(`oci://${fakes[1]!.host}/main`, {retry: {attempts: 1}})
      try {
        await copied(repository, to, {concurrency: 1})
        const [packfile] = packfiles
        const {blobs, tags} = fakes[1]!.repository('main')
        blobs.delete((await store.stat('packfile', packfile!)).digest)
        tags.delete(tagOf('packfile', packfile!))
        fakes[1]!.fail({method: 'PUT', path: /uploads/, status: 404, times: 99})
        const {outcomes, summary} = await copied(repository, to, {concurrency: 1})
        const kinds = new Set(outcomes.flatMap(({failure}) => (failure ? [`${failure.side} ${failure.kind}`] : [])))
        expect([...kinds]).to.deep.equal(['target passing'])
        expect(copyExitCode(summary)).to.equal(75)
      } finally {
        await to.close()
      }
    })
  })
