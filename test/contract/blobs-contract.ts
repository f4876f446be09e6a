/* eslint-disable mocha/no-exports, mocha/no-top-level-hooks -- part of a suite that several test files run */
import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {Readable} from 'node:stream'
import {buffer} from 'node:stream/consumers'

import type {ContractSubject} from './subject.js'

import {canMount, type Repository} from '../../src/registry/interfaces.js'
import {bufferSource, type ContentSource} from '../../src/util/content-source.js'
import {READERS} from '../helpers/readers.js'
import {blobOf, lyingSource, pushBlob, rejects} from '../helpers/registry-objects.js'

export function describeBlobs(subject: () => ContractSubject): void {
  let repository: Repository
  beforeEach(() => {
    repository = subject().repository
  })

  describe('blobs', () => {
    for (const size of [0, 1, 4096, 1024 * 1024 + 3]) {
      it(`gives back ${size} bytes as they were pushed`, async () => {
        const bytes = randomBytes(size)
        const target = blobOf(bytes)
        expect(await repository.blobs.push(target, bufferSource(bytes))).to.equal(true)
        for (const [way, read] of Object.entries(READERS)) {
          const got = await read(await repository.blobs.fetch(target))
          expect(got.equals(bytes), way).to.equal(true)
        }

        const {digest, size: known} = await repository.blobs.resolve(target.digest)
        expect({digest, known}).to.deep.equal({digest: target.digest, known: size})
      })
    }

    it('sends nothing for a blob that is there, unless forced', async () => {
      const bytes = randomBytes(500)
      const target = blobOf(bytes)
      let opened = 0
      const source: ContentSource = {
        open() {
          opened += 1
          return bufferSource(bytes).open()
        },
        size: bytes.length,
      }
      expect(await repository.blobs.push(target, source)).to.equal(true)
      expect(await repository.blobs.push(target, source)).to.equal(false)
      expect(opened).to.equal(1)
      expect(await repository.blobs.push(target, source, {force: true})).to.equal(true)
      expect(opened).to.equal(2)
    })

    it('takes the same blob from many at once', async () => {
      const bytes = randomBytes(300_000)
      await Promise.all(Array.from({length: 8}, () => pushBlob(repository, bytes)))
      expect((await buffer(await repository.blobs.fetch(blobOf(bytes)))).equals(bytes)).to.equal(true)
    })

    it('reads ranges, cuts one at the end and refuses one that starts there', async () => {
      const bytes = randomBytes(10_000)
      const target = await pushBlob(repository, bytes)
      const read = async (offset: number, length: number) =>
        buffer(await repository.blobs.fetch(target, {range: {length, offset}}))
      expect((await read(0, 1)).equals(bytes.subarray(0, 1))).to.equal(true)
      expect((await read(1234, 5000)).equals(bytes.subarray(1234, 6234))).to.equal(true)
      expect((await read(0, 10_000)).equals(bytes)).to.equal(true)
      expect((await read(9999, 1)).equals(bytes.subarray(9999))).to.equal(true)
      expect((await read(9000, 5000)).equals(bytes.subarray(9000))).to.equal(true)
      await rejects(read(10_000, 1), 'INVALID_ARGUMENT')
      await rejects(read(0, 0), 'INVALID_ARGUMENT')
      await rejects(read(-1, 5), 'INVALID_ARGUMENT')
    })

    it('refuses bytes that are not what the descriptor says, and shows nothing', async () => {
      const bytes = randomBytes(2000)
      const target = blobOf(bytes)
      const other = Buffer.from(bytes)
      other[1000] = 255 - other[1000]!
      for (const source of [
        lyingSource(2000, other),
        lyingSource(2000, bytes.subarray(0, 1999)),
        lyingSource(2000, bytes, Buffer.from('x')),
        lyingSource(1999, bytes.subarray(0, 1999)),
      ]) {
        await rejects(repository.blobs.push(target, source), 'INTEGRITY')
        await rejects(repository.blobs.resolve(target.digest), 'NOT_FOUND')
      }
    })

    it('passes on an error of the source, and shows nothing', async () => {
      const bytes = randomBytes(2000)
      const target = blobOf(bytes)
      const failing: ContentSource = {
        open: () =>
          Readable.from(
            (async function* () {
              yield bytes.subarray(0, 1000)
              throw new Error('the source broke')
            })(),
            {objectMode: false},
          ),
        size: 2000,
      }
      let caught: unknown
      await repository.blobs.push(target, failing).catch((error: unknown) => {
        caught = error
      })
      expect(caught).to.be.instanceOf(Error)
      await rejects(repository.blobs.resolve(target.digest), 'NOT_FOUND')
    })

    it('says that the size asked for is not the size there is', async () => {
      const target = await pushBlob(repository, randomBytes(100))
      for (const size of [99, 101]) {
        await rejects(
          repository.blobs.fetch({...target, size}).then((stream) => buffer(stream)),
          'INTEGRITY',
        )
      }

      expect(await buffer(await repository.blobs.fetch({...target, size: -1}))).to.have.length(100)
    })

    it('does not know what was never pushed', async () => {
      const target = blobOf(Buffer.from('never pushed'))
      await rejects(repository.blobs.fetch(target), 'NOT_FOUND')
      await rejects(repository.blobs.resolve(target.digest), 'NOT_FOUND')
      await rejects(repository.blobs.delete(target.digest), 'NOT_FOUND')
      await rejects(repository.blobs.resolve('latest'), 'INVALID_REFERENCE')
    })

    it('deletes a blob', async () => {
      const target = await pushBlob(repository, randomBytes(100))
      await repository.blobs.delete(target.digest)
      await rejects(repository.blobs.resolve(target.digest), 'NOT_FOUND')
      await rejects(repository.blobs.fetch(target), 'NOT_FOUND')
    })

    it('ends a reader that was not read to the end without harm', async () => {
      const bytes = randomBytes(3 * 1024 * 1024)
      const target = await pushBlob(repository, bytes)
      for (let round = 0; round < 3; round++) {
        const stream = await repository.blobs.fetch(target)
        await once(stream, 'readable')
        stream.destroy()
        await once(stream, 'close')
      }

      expect((await buffer(await repository.blobs.fetch(target))).equals(bytes)).to.equal(true)
    })

    it('mounts a blob of a neighbour, and declines one that it has not', async function () {
      const open = subject().sibling
      if (!open || !canMount(repository.blobs)) {
        this.skip()
        return
      }

      const sibling = await open('neighbour/two')
      const bytes = randomBytes(700)
      const target = await pushBlob(sibling, bytes)
      await rejects(repository.blobs.resolve(target.digest), 'NOT_FOUND')
      expect(await repository.blobs.mount(blobOf(Buffer.from('not there')), 'neighbour/two')).to.equal(false)
      expect(await repository.blobs.mount(target, 'neighbour/none')).to.equal(false)
      expect(await repository.blobs.mount(target, 'neighbour/two')).to.equal(true)
      expect((await buffer(await repository.blobs.fetch(target))).equals(bytes)).to.equal(true)
      await sibling.close()
    })
  })
}
