import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {readdirSync} from 'node:fs'
import {join} from 'node:path'
import {buffer} from 'node:stream/consumers'

import type {OwnedRepository} from '../../src/registry/local/owned-repository.js'

import {digestOf} from '../../src/registry/digest.js'
import {openLayout} from '../../src/registry/layout/open-layout.js'
import {MemoryHost} from '../../src/registry/memory/repository.js'
import {bufferSource} from '../../src/util/content-source.js'
import {scratchDir} from '../helpers/hooks.js'
import {blobOf, imageManifest, listed, pushBlob, pushObject, rejects} from '../helpers/registry-objects.js'

interface Pair {
  /** Unfinished files that lie about. */
  leftovers(): number
  readonly one: OwnedRepository
  readonly two: OwnedRepository
}

const BACKENDS: Readonly<Record<string, () => Promise<Pair>>> = {
  async layout() {
    const dir = scratchDir('owned')
    const options = {amongOthers: true, create: true, durable: false}
    return {
      leftovers() {
        try {
          return readdirSync(join(dir, 'one', '.kloset-oci', 'tmp')).length
        } catch {
          return 0
        }
      },
      one: await openLayout(join(dir, 'one'), options),
      two: await openLayout(join(dir, 'one', 'two'), options),
    }
  },
  async memory() {
    const host = new MemoryHost()
    return {leftovers: () => 0, one: host.repository('one'), two: host.repository('one/two')}
  },
}

async function* chunks(...parts: (Error | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part
    yield part
  }
}

for (const [name, open] of Object.entries(BACKENDS)) {
  describe(`what a server asks of the ${name} backend`, () => {
    let pair: Pair
    let one: OwnedRepository

    beforeEach(async () => {
      pair = await open()
      one = pair.one
    })

    afterEach(async () => {
      await pair.one.close()
      await pair.two.close()
    })

    const read = async (bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256') => {
      const target = {...blobOf(bytes), digest: digestOf(bytes, algorithm)}
      return (await buffer(await one.blobs.fetch(target))).equals(bytes)
    }

    it('takes a blob in pieces, with rests between them', async () => {
      const bytes = randomBytes(3_000_000)
      const ingest = await one.blobs.ingest()
      for (let at = 0; at < bytes.length; at += 700_000) {
        expect(ingest.size).to.equal(at)
        await ingest.append(chunks(bytes.subarray(at, at + 1), bytes.subarray(at + 1, at + 700_000)))
        await ingest.park()
      }

      const {digest, size} = blobOf(bytes)
      expect(await ingest.commit(digest)).to.deep.include({digest, size})
      expect(await read(bytes)).to.equal(true)
      expect(pair.leftovers()).to.equal(0)
      await rejects(ingest.append(chunks(bytes)), 'INVALID_ARGUMENT')
      await rejects(ingest.commit(digest), 'INVALID_ARGUMENT')
      await ingest.abort()
      expect(await read(bytes)).to.equal(true)
    })

    it('takes an empty blob, and one by an algorithm that was not announced', async () => {
      const empty = Buffer.alloc(0)
      await (await one.blobs.ingest()).commit(digestOf(empty))
      expect(await read(empty)).to.equal(true)
      for (const algorithm of [undefined, 'sha256', 'sha512'] as const) {
        const bytes = randomBytes(1_500_000)
        const ingest = await one.blobs.ingest(algorithm)
        await ingest.append(chunks(bytes))
        await ingest.commit(digestOf(bytes, 'sha512'))
        expect(await read(bytes, 'sha512')).to.equal(true)
        await rejects(one.blobs.resolve(digestOf(bytes)), 'NOT_FOUND')
      }
    })

    it('shows nothing of a blob whose digest is another', async () => {
      const bytes = randomBytes(1000)
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const ingest = await one.blobs.ingest()
        await ingest.append(chunks(bytes.subarray(1)))
        const digest = digestOf(bytes, algorithm)
        const error = await rejects(ingest.commit(digest), 'INTEGRITY')
        expect(error.facts['expected']).to.equal(digest)
        await rejects(one.blobs.resolve(digest), 'NOT_FOUND')
      }

      expect(pair.leftovers()).to.equal(0)
    })

    it('keeps what came before its source broke, and goes on from there', async () => {
      const bytes = randomBytes(2_500_000)
      const ingest = await one.blobs.ingest()
      const broken = new Error('connection lost')
      let caught: unknown
      await ingest
        .append(chunks(bytes.subarray(0, 1_200_000), bytes.subarray(1_200_000, 1_300_000), broken))
        .catch((error: unknown) => {
          caught = error
        })
      expect(caught).to.equal(broken)
      expect(ingest.size).to.equal(1_300_000)
      await ingest.append(chunks(bytes.subarray(1_300_000)))
      await ingest.commit(digestOf(bytes))
      expect(await read(bytes)).to.equal(true)
    })

    it('takes no byte more than it was told', async () => {
      const ingest = await one.blobs.ingest()
      await ingest.append(chunks(randomBytes(10)), {limit: 10})
      await rejects(ingest.append(chunks(randomBytes(1)), {limit: 10}), 'INTEGRITY')
      expect(ingest.size).to.equal(10)
      await ingest.abort()
      expect(pair.leftovers()).to.equal(0)
    })

    it('ends an append when its signal aborts', async () => {
      const ingest = await one.blobs.ingest()
      const controller = new AbortController()
      const endless = async function* () {
        for (let round = 0; ; round++) {
          if (round === 3) controller.abort(new Error('enough'))
          yield randomBytes(1000)
        }
      }

      await rejects(ingest.append(endless(), {signal: controller.signal}), 'INTERRUPTED')
      await ingest.abort()
      expect(pair.leftovers()).to.equal(0)
    })

    it('takes over a blob of another repository, which then can go', async () => {
      const bytes = randomBytes(5000)
      const {digest, size} = await pushBlob(pair.two, bytes)
      expect(await one.adoptBlob(digestOf(Buffer.from('none')), pair.two)).to.equal(false)
      expect(await one.blobs.keep({digest, size})).to.equal(false)
      expect(await one.adoptBlob(digest, pair.two)).to.equal(true)
      expect(await one.adoptBlob(digest, pair.two)).to.equal(true)
      await pair.two.blobs.delete(digest)
      expect(await read(bytes)).to.equal(true)
      expect(await one.blobs.keep({digest, size})).to.equal(true)
      expect(await one.blobs.keep({digest, size: -1})).to.equal(true)
      expect(await one.blobs.keep({digest, size: size + 1})).to.equal(false)
    })

    it('takes over a blob from a backend of another kind', async () => {
      const other = new MemoryHost().repository('elsewhere')
      const bytes = randomBytes(5000)
      const {digest} = await pushBlob(other, bytes)
      expect(await one.adoptBlob(digest, other)).to.equal(true)
      expect(await read(bytes)).to.equal(true)
      expect(await one.adoptBlob(digestOf(Buffer.from('none')), other)).to.equal(false)
    })

    it('stores manifests under sha512, and refuses a digest that is not theirs', async () => {
      const config = await pushBlob(one, Buffer.from('{}'))
      const manifest = imageManifest(config)
      const digest = digestOf(manifest.bytes, 'sha512')
      expect(await one.manifests.push(manifest, {digest, tag: 'long'})).to.deep.include({digest})
      expect((await one.manifests.get('long')).descriptor.digest).to.equal(digest)
      expect((await one.manifests.getStored(digest)).bytes).to.deep.equal(manifest.bytes)
      await rejects(one.manifests.resolve(digestOf(manifest.bytes)), 'NOT_FOUND')
      const wrong = digestOf(Buffer.from('other'))
      await rejects(one.manifests.push(manifest, {digest: wrong, tag: 'wrong'}), 'INTEGRITY')
      expect(await one.sortedTags()).to.deep.equal(['long'])
      const large = {bytes: Buffer.alloc(4 * 1024 * 1024 + 1, ' '), mediaType: manifest.mediaType}
      await rejects(one.manifests.push(large), 'INVALID_ARGUMENT')
    })

    it('sorts tags by their bytes, and an array once given stays as it is', async () => {
      for (const tag of ['b', 'a', 'B', '_', '1', 'A.1']) await pushObject(one, tag)
      const before = await one.sortedTags()
      expect(before).to.deep.equal(['1', 'A.1', 'B', '_', 'a', 'b'])
      await pushObject(one, 'c')
      await one.manifests.untag('a')
      expect(before).to.deep.equal(['1', 'A.1', 'B', '_', 'a', 'b'])
      expect(await one.sortedTags()).to.deep.equal(['1', 'A.1', 'B', '_', 'b', 'c'])
    })

    it('follows referrers as they come and go', async () => {
      const {config, descriptor} = await pushObject(one, 'image')
      const digests = async () => (await listed(one.referrers(descriptor.digest))).map(({digest}) => digest).sort()
      expect(await digests()).to.deep.equal([])
      const push = (n: number) =>
        one.manifests.push(imageManifest(config, {annotations: {n: String(n)}, subject: descriptor}))
      const first = await push(1)
      expect(await digests()).to.deep.equal([first.digest])
      const second = await push(2)
      await pushObject(one, 'unrelated')
      expect(await digests()).to.deep.equal([first.digest, second.digest].sort())
      await one.manifests.delete(first.digest)
      expect(await digests()).to.deep.equal([second.digest])
      await push(1)
      await one.manifests.delete(descriptor.digest)
      expect(await digests()).to.deep.equal([first.digest, second.digest].sort())
    })

    it('does not delete a manifest that is asked for as a blob', async () => {
      const {descriptor} = await pushObject(one, 'a')
      await one.blobs.delete(descriptor.digest).then(
        () => expect.fail('deleted'),
        (error: {code?: string}) => expect(error.code).to.be.oneOf(['INVALID_ARGUMENT', 'NOT_FOUND']),
      )
      expect((await one.manifests.get('a')).descriptor.digest).to.equal(descriptor.digest)
    })

    it('lists no blob twice', async () => {
      const bytes = randomBytes(10)
      await pushBlob(one, bytes)
      await one.blobs.push(blobOf(bytes), bufferSource(bytes), {force: true})
      const digests = (await listed(one.blobDigests())).map(({digest}) => digest)
      expect(digests).to.deep.equal([digestOf(bytes)])
    })
  })
}
