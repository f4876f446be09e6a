import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {buffer} from 'node:stream/consumers'

import {anonymousCredentials} from '../../../src/registry/auth/credentials.js'
import {type RequestEvent} from '../../../src/registry/open.js'
import {openRepository} from '../../../src/registry/open.js'
import {type RemoteRepository} from '../../../src/registry/remote/remote-repository.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {describeRepositoryContract} from '../../contract/repository-contract.js'
import {failureOf} from '../../helpers/failure.js'
import {PEER_REGISTRIES, type PeerRegistry, startRegistry} from '../../helpers/peer-registries.js'
import {needPeer, stopPeers} from '../../helpers/peers.js'
import {blobOf, imageManifest, listed, pushBlob, pushObject} from '../../helpers/registry-objects.js'

/** What the client finds out about each: if one of these changes, so has the registry. */
const FOUND: Readonly<Record<PeerRegistry, {mountTells: string; referrersApi: string; tagDelete: string}>> = {
  crane: {mountTells: 'no', referrersApi: 'no', tagDelete: 'untags'},
  'docker-registry': {mountTells: 'yes', referrersApi: 'no', tagDelete: 'no'},
  registry: {mountTells: 'yes', referrersApi: 'no', tagDelete: 'untags'},
  zot: {mountTells: 'yes', referrersApi: 'yes', tagDelete: 'untags'},
}

const MIB = 1024 * 1024

for (const name of PEER_REGISTRIES) {
  describe(`remote backend at ${name}`, function () {
    let host: string
    let repositories = 0
    const events: RequestEvent[] = []

    before(async function () {
      host = await startRegistry(name, needPeer(this, name))
    })

    after(async function () {
      await stopPeers()
    })

    async function open(path = `org/store${(repositories += 1)}`): Promise<RemoteRepository> {
      const options = {credentials: anonymousCredentials, onRequest: (event: RequestEvent) => events.push(event)}
      return (await openRepository(`oci://${host}/${path}`, options)) as RemoteRepository
    }

    describeRepositoryContract(
      name,
      async () => {
        const repository = await open()
        // crane mounts nothing; zot has every blob of the host in every repository.
        const mounts = name === 'registry' || name === 'docker-registry'
        return {repository, ...(mounts && {sibling: open})}
      },
      {
        digestDeleteTakesTags: name !== 'crane',
        movedTagKeepsManifest: name !== 'zot',
        untagKeepsManifest: true,
      },
    )

    it('learns what the registry does', async () => {
      const repository = await open()
      const {descriptor} = await pushObject(repository, 'a')
      await pushObject(repository, 'b')
      await pushBlob(repository, Buffer.from('{}'))
      await listed(repository.referrers(descriptor.digest))
      await repository.manifests.untag('a')
      await buffer(await repository.blobs.fetch(blobOf(Buffer.from('content of b')), {range: {length: 3, offset: 2}}))
      const {mountTells, ranges, referrersApi, tagDelete} = repository.capabilities
      expect({mountTells, referrersApi, tagDelete}).to.deep.equal(FOUND[name])
      expect(ranges).to.equal('yes')
      expect(await listed(repository.tags())).to.deep.equal(['b'])
    })

    it('takes three requests an object, and one a range', async () => {
      const repository = await open()
      const config = await pushBlob(repository, Buffer.from('{}'))
      await pushBlob(repository, randomBytes(10))
      const bytes = randomBytes(MIB)
      events.length = 0
      const layer = await pushBlob(repository, bytes)
      await repository.manifests.push(imageManifest(config, {layers: [layer]}), {tag: 'a'})
      // A registry whose mounts tell nothing is asked before.
      expect(events.map(({method}) => method).join(' ')).to.equal(
        name === 'crane' ? 'HEAD POST PUT PUT' : 'POST PUT PUT',
      )
      events.length = 0
      await pushBlob(repository, bytes)
      expect(events).to.have.length(1)
      expect(events[0]!.sent).to.equal(0)
      events.length = 0
      const range = {length: 1000, offset: 12_345}
      const got = await buffer(await repository.blobs.fetch(layer, {range}))
      expect(got.equals(bytes.subarray(12_345, 13_345))).to.equal(true)
      expect(events).to.have.length(1)
    })

    it('takes a blob in chunks', async () => {
      const repository = await open()
      const bytes = randomBytes(5 * MIB + 3)
      // Told so, since none of these refuses one piece.
      const capabilities = repository.capabilities as {chunkBytes: number; monolithicLimit: number}
      capabilities.monolithicLimit = MIB
      capabilities.chunkBytes = 2 * MIB
      events.length = 0
      await repository.blobs.push(blobOf(bytes), bufferSource(bytes))
      expect(events.filter(({method}) => method === 'PATCH')).to.have.length(3)
      expect((await buffer(await repository.blobs.fetch(blobOf(bytes)))).equals(bytes)).to.equal(true)
    })

    for (const count of [100, 1000]) {
      it(`lists ${count} tags, each once`, async () => {
        const repository = await open()
        const {descriptor, manifest} = await pushObject(repository, 'CONFIG')
        const tags = Array.from(
          {length: count - 1},
          (_, index) => `packfiles-${String(index).padStart(8, '0').repeat(8)}`,
        )
        for (let at = 0; at < tags.length; at += 50) {
          await Promise.all(tags.slice(at, at + 50).map(async (tag) => repository.manifests.push(manifest, {tag})))
        }

        expect((await listed(repository.tags())).sort()).to.deep.equal(['CONFIG', ...tags])
        expect((await repository.manifests.untag(tags[5]!)).manifestDeleted).to.equal(false)
        expect((await repository.manifests.get('CONFIG')).descriptor.digest).to.equal(descriptor.digest)
        expect(await listed(repository.tags())).to.have.length(count - 1)
      })
    }

    it('gives up an upload cleanly', async () => {
      const repository = await open()
      const bytes = randomBytes(8 * MIB)
      const controller = new AbortController()
      const source = {
        open() {
          const stream = bufferSource(bytes).open()
          stream.once('data', () => controller.abort(new Error('enough')))
          return stream
        },
        size: bytes.length,
      }
      const error = await failureOf(repository.blobs.push(blobOf(bytes), source, {signal: controller.signal}))
      expect(error.code).to.equal('INTERRUPTED')
      expect((await failureOf(repository.blobs.resolve(blobOf(bytes).digest))).code).to.equal('NOT_FOUND')
    })

    it('says what the registry refuses', async () => {
      const repository = await open()
      await pushObject(repository, 'a')
      expect(await repository.access()).to.deep.equal({read: true, write: true})
      const missing = {...blobOf(Buffer.from('never pushed')), mediaType: 'application/vnd.oci.image.config.v1+json'}
      if (name === 'crane') return
      const error = await failureOf(repository.manifests.push(imageManifest(missing), {tag: 'b'}))
      expect(error.facts['status']).to.equal(400)
      expect(await listed(repository.tags())).to.deep.equal(['a'])
    })
  })
}
