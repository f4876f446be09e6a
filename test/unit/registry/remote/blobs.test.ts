import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {buffer} from 'node:stream/consumers'

import {type Descriptor} from '../../../../src/registry/descriptor.js'
import {digestOf} from '../../../../src/registry/digest.js'
import {type ByteRange} from '../../../../src/registry/interfaces.js'
import {type RemoteRepository} from '../../../../src/registry/remote/remote-repository.js'
import {failureOf} from '../../../helpers/failure.js'
import {READERS} from '../../../helpers/readers.js'
import {blobOf} from '../../../helpers/registry-objects.js'
import {requestsOf, useRig} from '../../../helpers/remote-rig.js'

const BYTES = randomBytes(1024 * 1024)
const BLOB = blobOf(BYTES)
const UNSIZED: Descriptor = {...BLOB, size: -1}

/** Taken at once, and not as a stream. */
const LITTLE = randomBytes(100_000)
const LITTLE_BLOB = blobOf(LITTLE)

type Read = (repository: RemoteRepository, target: Descriptor, range?: ByteRange) => Promise<Buffer>

function reading(way: (typeof READERS)[string]): Read {
  return async (repository, target, range) => way(await repository.blobs.fetch(target, {range}))
}

for (const [way, readAll] of Object.entries(READERS))
  describe(`blobs of a registry, ${way}`, () => {
    const read = reading(readAll)
    const rig = useRig()

    describe('whole', () => {
      for (const target of [BLOB, UNSIZED]) {
        it(`come in one request, size ${target.size < 0 ? 'unknown' : 'known'}`, async () => {
          const {fake, repository, stored} = await rig()
          stored.addBlob(BYTES)
          expect((await read(repository, target)).equals(BYTES)).to.equal(true)
          expect(fake.requests).to.have.length(1)
        })

        for (const dropAfter of [0, 1, 65_536, BYTES.length - 1]) {
          it(`go on where the connection broke, after ${dropAfter} bytes, size ${target.size < 0 ? 'unknown' : 'known'}`, async () => {
            const {fake, repository, stored} = await rig()
            stored.addBlob(BYTES)
            fake.fail({dropAfter, path: /blobs/})
            expect((await read(repository, target)).equals(BYTES)).to.equal(true)
            expect(fake.requests).to.have.length(2)
            const bytes = /^bytes=(\d+)-1048575$/.exec(String(fake.requests[1]!.headers['range']))
            expect(Number(bytes?.[1])).to.be.within(dropAfter === 0 ? 0 : 1, dropAfter)
          })
        }
      }

      for (const target of [LITTLE_BLOB, {...LITTLE_BLOB, size: -1}]) {
        for (const dropAfter of [0, 1, 65_536, LITTLE.length - 1]) {
          it(`are asked for again when they are little and broke after ${dropAfter} bytes, size ${target.size < 0 ? 'unknown' : 'known'}`, async () => {
            const {clock, fake, repository, stored} = await rig()
            stored.addBlob(LITTLE)
            fake.fail({dropAfter, path: /blobs/, times: 3})
            expect((await read(repository, target)).equals(LITTLE)).to.equal(true)
            // The second time it goes on where it broke, and more than half of it leaves no third.
            const breaks = dropAfter > LITTLE.length / 2 ? 2 : 3
            expect(fake.requests).to.have.length(breaks + 1)
            expect(clock.sleeps).to.have.length(breaks)
          })
        }
      }

      it('are given up when they are little and never come whole', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(LITTLE)
        fake.fail({dropAfter: 100, path: /blobs/, times: 99})
        expect((await failureOf(read(repository, LITTLE_BLOB))).code).to.equal('UNREACHABLE')
        expect(fake.requests.length).to.be.within(5, 6)
      })

      it('go on also where ranges are ignored', async () => {
        const {fake, repository, stored} = await rig({ranges: 'ignored'})
        stored.addBlob(BYTES)
        fake.fail({dropAfter: 500_000, path: /blobs/})
        expect((await read(repository, BLOB)).equals(BYTES)).to.equal(true)
      })

      it('survive more breaks than one request may have tries, as long as it gets on', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        fake.fail({dropAfter: 100_000, path: /blobs/, times: 9})
        expect((await read(repository, BLOB)).equals(BYTES)).to.equal(true)
        expect(fake.requests).to.have.length(10)
      })

      it('are given up when nothing more comes', async () => {
        const {clock, fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        fake.fail({dropAfter: 1000, path: /blobs/, times: 99})
        const error = await failureOf(read(repository, BLOB))
        expect(error.code).to.equal('UNREACHABLE')
        expect(fake.requests).to.have.length(5)
        expect(clock.sleeps).to.have.length(4)
      })

      it('are fetched from another origin without credentials', async () => {
        const {fake, repository, stored} = await rig({auth: 'bearer', blobs: 'redirect'})
        stored.addBlob(BYTES)
        expect((await read(repository, BLOB)).equals(BYTES)).to.equal(true)
        expect((await read(repository, BLOB, {length: 10, offset: 5})).equals(BYTES.subarray(5, 15))).to.equal(true)
        const storage = fake.requests.filter(({origin}) => origin === 'storage')
        expect(storage).to.have.length(2)
        expect(storage.every(({authorization}) => authorization === undefined)).to.equal(true)
      })

      const damages: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
        'a bit has flipped': (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([255 - bytes.at(-1)!])]),
        'nothing is left of them': () => Buffer.alloc(0),
        'they are longer': (bytes) => Buffer.concat([bytes, Buffer.from('x')]),
        'they are shorter': (bytes) => bytes.subarray(1),
      }
      for (const [name, mangle] of Object.entries(damages)) {
        it(`end in an error, never in an end, when ${name}`, async () => {
          const {fake, repository, stored} = await rig()
          stored.addBlob(BYTES)
          stored.addBlob(LITTLE)
          fake.fail({mangle, path: /blobs/, times: 99})
          for (const target of [BLOB, UNSIZED, LITTLE_BLOB, {...LITTLE_BLOB, size: -1}])
            expect((await failureOf(read(repository, target))).code).to.equal('INTEGRITY')
        })
      }

      it('are refused when the registry names another digest, a part, or a compressed form', async () => {
        const {fake, repository, stored} = await rig({digestHeader: 'wrong'})
        stored.addBlob(BYTES)
        expect((await failureOf(read(repository, BLOB))).code).to.equal('INTEGRITY')
        fake.options = {}
        fake.fail({headers: {'content-encoding': 'gzip'}, path: /blobs/})
        expect((await failureOf(read(repository, BLOB))).message).to.include('gzip')
        fake.fail({body: 'abc', path: /blobs/, status: 206})
        expect((await failureOf(read(repository, BLOB))).message).to.include('206')
      })

      it('do not hold on to a connection when they are dropped', async () => {
        const {repository, stored} = await rig({}, {concurrency: 1})
        const big = randomBytes(8 * 1024 * 1024)
        stored.addBlob(big)
        for (let round = 0; round < 3; round++) {
          const stream = await repository.blobs.fetch(blobOf(big))
          await once(stream, 'readable')
          stream.destroy()
        }

        expect((await read(repository, blobOf(big))).equals(big)).to.equal(true)
      })

      it('wait for a slow reader', async () => {
        const {repository, stored} = await rig()
        const big = randomBytes(16 * 1024 * 1024)
        stored.addBlob(big)
        const stream = await repository.blobs.fetch(blobOf(big))
        await once(stream, 'readable')
        await new Promise((resolve) => {
          setTimeout(resolve, 100)
        })
        expect(stream.readableLength).to.be.below(4 * 1024 * 1024)
        expect((await buffer(stream)).equals(big)).to.equal(true)
      })
    })

    describe('ranges', () => {
      const ranges: readonly ByteRange[] = [
        {length: 1, offset: 0},
        {length: 1000, offset: 12_345},
        {length: BYTES.length, offset: 0},
        {length: 1, offset: BYTES.length - 1},
        {length: 5000, offset: BYTES.length - 10},
      ]
      for (const how of ['right', 'ignored', 'strict-end'] as const) {
        for (const target of [BLOB, UNSIZED]) {
          it(`are what was asked for: server ${how}, size ${target.size < 0 ? 'unknown' : 'known'}`, async () => {
            const {repository, stored} = await rig({ranges: how})
            stored.addBlob(BYTES)
            for (const range of ranges) {
              const expected = BYTES.subarray(range.offset, range.offset + range.length)
              expect((await read(repository, target, range)).equals(expected), JSON.stringify(range)).to.equal(true)
            }
          })

          it(`that begin at the end are refused: server ${how}, size ${target.size < 0 ? 'unknown' : 'known'}`, async () => {
            const {repository, stored} = await rig({ranges: how})
            stored.addBlob(BYTES)
            for (const offset of [BYTES.length, BYTES.length + 1, 2 ** 40]) {
              const error = await failureOf(read(repository, target, {length: 10, offset}))
              expect(error.code).to.equal('INVALID_ARGUMENT')
            }
          })
        }
      }

      it('take one request each', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        for (let at = 0; at < 10; at++) await read(repository, BLOB, {length: 100, offset: at * 1000})
        expect(fake.requests).to.have.length(10)
        expect(repository.capabilities.ranges).to.equal('yes')
      })

      it('are asked for with both ends, cut to the size that is known', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        await read(repository, BLOB, {length: 5000, offset: BYTES.length - 10})
        expect(fake.requests[0]!.headers['range']).to.equal(`bytes=${BYTES.length - 10}-${BYTES.length - 1}`)
      })

      for (const how of ['no-header', 'wrong-start', 'wrong-end'] as const) {
        it(`are refused when the answer is another: ${how}`, async () => {
          const {repository, stored} = await rig({ranges: how})
          stored.addBlob(BYTES)
          for (const target of [BLOB, UNSIZED]) {
            expect((await failureOf(read(repository, target, {length: 100, offset: 50}))).code).to.equal('PROTOCOL')
          }
        })
      }

      it('are refused when the content has another size', async () => {
        const {fake, repository, stored} = await rig({ranges: 'wrong-total'})
        stored.addBlob(BYTES)
        expect((await failureOf(read(repository, BLOB, {length: 100, offset: 50}))).code).to.equal('INTEGRITY')
        fake.options = {ranges: 'ignored'}
        expect(
          (await failureOf(read(repository, {...BLOB, size: 2_000_000}, {length: 100, offset: 50}))).code,
        ).to.equal('INTEGRITY')
        fake.options = {}
        expect(
          (await failureOf(read(repository, {...BLOB, size: 2_000_000}, {length: 100, offset: 1_500_000}))).code,
        ).to.equal('INTEGRITY')
      })

      it('are refused when Content-Length does not fit Content-Range', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        fake.fail({mangle: (bytes) => bytes.subarray(1), path: /blobs/})
        expect((await failureOf(read(repository, BLOB, {length: 100, offset: 50}))).code).to.equal('PROTOCOL')
      })

      it('are refused, and never read as something else, when the part that comes is longer or shorter than it says', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        // Without Content-Length the end of the body is all there is to go by.
        const chunked = {'content-length': undefined, 'transfer-encoding': 'chunked'}
        fake.fail({headers: chunked, mangle: (bytes) => bytes.subarray(1), path: /blobs/})
        expect((await failureOf(read(repository, BLOB, {length: 100, offset: 50}))).code).to.equal('INTEGRITY')
        fake.fail({headers: chunked, mangle: (bytes) => Buffer.concat([bytes, bytes]), path: /blobs/})
        expect((await read(repository, BLOB, {length: 100, offset: 50})).equals(BYTES.subarray(50, 150))).to.equal(true)
      })

      it('go on where the connection broke', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        fake.fail({dropAfter: 100_000, path: /blobs/, times: 2})
        const got = await read(repository, BLOB, {length: 500_000, offset: 1000})
        expect(got.equals(BYTES.subarray(1000, 501_000))).to.equal(true)
        expect(fake.requests).to.have.length(3)
      })

      it('are asked for again when they are little and broke', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        fake.fail({dropAfter: 100, path: /blobs/, times: 2})
        const got = await read(repository, BLOB, {length: 5000, offset: 1000})
        expect(got.equals(BYTES.subarray(1000, 6000))).to.equal(true)
        expect(fake.requests).to.have.length(3)
      })

      it('of a registry without ranges are refused when too much lies before them', async () => {
        const {fake, repository, stored} = await rig({ranges: 'ignored'}, {maxSkipBytes: 1000})
        stored.addBlob(BYTES)
        expect((await read(repository, BLOB, {length: 10, offset: 1000})).equals(BYTES.subarray(1000, 1010))).to.equal(
          true,
        )
        const error = await failureOf(read(repository, BLOB, {length: 10, offset: 1001}))
        expect(error.code).to.equal('UNSUPPORTED')
        expect(error.suggestions).to.have.length.above(0)
        expect(fake.requests).to.have.length(2)
        expect(repository.capabilities.ranges).to.equal('ignored')
      })

      it('that cannot be are refused without a request', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        for (const range of [
          {length: 0, offset: 0},
          {length: -1, offset: 0},
          {length: 1, offset: -1},
          {length: 1.5, offset: 0},
          {length: 1, offset: Number.NaN},
        ]) {
          expect((await failureOf(read(repository, BLOB, range))).code).to.equal('INVALID_ARGUMENT')
        }

        expect(fake.requests).to.have.length(0)
      })
    })

    describe('looked up', () => {
      it('take one HEAD', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        expect(await repository.blobs.resolve(BLOB.digest)).to.deep.equal(BLOB)
        expect(requestsOf(fake)).to.deep.equal([`HEAD blobs/${BLOB.digest.slice(7, 11)}`])
      })

      for (const headBlobs of ['off', 'no-length'] as const) {
        for (const ranges of ['right', 'ignored'] as const) {
          it(`are measured by a GET where HEAD does not tell: ${headBlobs}, ranges ${ranges}`, async () => {
            const {fake, repository, stored} = await rig({headBlobs, ranges})
            stored.addBlob(BYTES)
            const empty = stored.addBlob('').digest
            expect((await repository.blobs.resolve(BLOB.digest)).size).to.equal(BYTES.length)
            expect((await repository.blobs.resolve(empty)).size).to.equal(0)
            // HEAD is not tried again.
            expect(fake.count('HEAD')).to.equal(1)
            expect((await failureOf(repository.blobs.resolve(digestOf(Buffer.from('no'))))).code).to.equal('NOT_FOUND')
          })
        }
      }

      it('are refused where nothing tells their size', async () => {
        const {fake, repository, stored} = await rig({headBlobs: 'off', ranges: 'ignored'})
        stored.addBlob(BYTES)
        fake.fail({headers: {'content-length': undefined, 'transfer-encoding': 'chunked'}, method: 'GET'})
        expect((await failureOf(repository.blobs.resolve(BLOB.digest))).code).to.equal('PROTOCOL')
        fake.fail({endless: true, method: 'GET'})
        expect((await failureOf(repository.blobs.resolve(BLOB.digest))).code).to.equal('PROTOCOL')
      })

      it('are refused under another digest', async () => {
        const {repository, stored} = await rig({digestHeader: 'wrong'})
        stored.addBlob(BYTES)
        expect((await failureOf(repository.blobs.resolve(BLOB.digest))).code).to.equal('INTEGRITY')
      })
    })

    describe('deleted', () => {
      it('are gone', async () => {
        const {repository, stored} = await rig()
        stored.addBlob(BYTES)
        await repository.blobs.delete(BLOB.digest)
        expect(stored.blobs.size).to.equal(0)
        expect((await failureOf(repository.blobs.delete(BLOB.digest))).code).to.equal('NOT_FOUND')
      })

      it('are not where the registry does not delete, and it says what to do', async () => {
        const {repository, stored} = await rig({digestDelete: 'off'})
        stored.addBlob(BYTES)
        const error = await failureOf(repository.blobs.delete(BLOB.digest))
        expect(error.code).to.equal('UNSUPPORTED')
        expect(error.suggestions[0]).to.include('deletion')
        expect(stored.blobs.size).to.equal(1)
      })

      it('are not there also where the registry fails at that', async () => {
        const {fake, repository, stored} = await rig()
        fake.fail({method: 'DELETE', status: 500, times: 99})
        expect((await failureOf(repository.blobs.delete(BLOB.digest))).code).to.equal('NOT_FOUND')
        stored.addBlob(BYTES)
        expect((await failureOf(repository.blobs.delete(BLOB.digest))).code).to.equal('REGISTRY')
      })

      it('are gone also when the answer was lost', async () => {
        const {fake, repository, stored} = await rig()
        stored.addBlob(BYTES)
        fake.fail({before: () => stored.blobs.clear(), method: 'DELETE', status: 503})
        await repository.blobs.delete(BLOB.digest)
        expect(fake.count('DELETE')).to.equal(2)
      })
    })
  })
