import {expect} from 'chai'
import {randomBytes} from 'node:crypto'

import type {FakeOptions} from '../../../helpers/fake-registry.js'

import {digestOf} from '../../../../src/registry/digest.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {failureOf} from '../../../helpers/failure.js'
import {blobOf, lyingSource, pushBlob} from '../../../helpers/registry-objects.js'
import {countedSource, type Rig, useRig} from '../../../helpers/remote-rig.js'

const MIB = 1024 * 1024
const BYTES = randomBytes(3 * MIB)
const BLOB = blobOf(BYTES)

function stored({stored: {blobs}}: Rig): boolean {
  return blobs.get(BLOB.digest)?.equals(BYTES) ?? false
}

describe('uploads in chunks', () => {
  const rig = useRig()

  const refusals: Readonly<Record<string, FakeOptions>> = {
    '413': {maxMonolithic: MIB},
    '416': {maxMonolithic: MIB, monolithicStatus: 416},
  }
  for (const [name, options] of Object.entries(refusals)) {
    it(`follow a ${name} to the whole, and the registry is remembered`, async () => {
      const one = await rig(options, {chunkBytes: MIB})
      const {fake, repository} = one
      await repository.blobs.push(BLOB, bufferSource(BYTES), {force: true})
      expect(stored(one)).to.equal(true)
      expect(fake.count('PATCH')).to.equal(3)
      expect(fake.count('POST')).to.equal(2)
      expect(
        fake.requests.filter(({method}) => method === 'PATCH').map(({headers}) => headers['content-range']),
      ).to.deep.equal([`0-${MIB - 1}`, `${MIB}-${2 * MIB - 1}`, `${2 * MIB}-${3 * MIB - 1}`])
      fake.forget()
      const second = randomBytes(3 * MIB)
      await repository.blobs.push(blobOf(second), bufferSource(second), {force: true})
      expect(fake.count('PUT')).to.equal(1)
      expect(fake.count('PATCH')).to.equal(3)
      // Smaller ones still go in one piece.
      fake.forget()
      await pushBlob(repository, randomBytes(1000))
      expect(fake.count('PATCH')).to.equal(0)
    })
  }

  it('become smaller when they are refused', async () => {
    const one = await rig({maxChunk: MIB, maxMonolithic: MIB}, {chunkBytes: 4 * MIB})
    const big = randomBytes(9 * MIB + 1)
    await one.repository.blobs.push(blobOf(big), bufferSource(big))
    expect(one.stored.blobs.get(digestOf(big))?.equals(big)).to.equal(true)
    expect(one.repository.capabilities.chunkBytes).to.equal(MIB)
    expect(one.stored.uploads.size).to.equal(0)
  })

  it('are found by many pushes at once, all of which were refused whole', async () => {
    const one = await rig({maxChunk: MIB, maxMonolithic: MIB}, {chunkBytes: 4 * MIB})
    const contents = Array.from({length: 8}, () => randomBytes(2 * MIB))
    await Promise.all(
      contents.map(async (bytes) => one.repository.blobs.push(blobOf(bytes), bufferSource(bytes), {force: true})),
    )
    for (const bytes of contents) expect(one.stored.blobs.has(digestOf(bytes))).to.equal(true)
    expect(one.repository.capabilities.chunkBytes).to.equal(MIB)
  })

  it('are no smaller than the registry wants', async () => {
    const one = await rig({chunkMinLength: 2 * MIB, maxMonolithic: MIB}, {chunkBytes: 300_000})
    await one.repository.blobs.push(BLOB, bufferSource(BYTES))
    expect(stored(one)).to.equal(true)
    expect(one.fake.count('PATCH')).to.equal(2)
  })

  it('are not kept in memory without limit', async () => {
    const {repository, stored: store} = await rig({chunkMinLength: 2 ** 40, maxMonolithic: MIB})
    expect((await failureOf(repository.blobs.push(BLOB, bufferSource(BYTES)))).code).to.equal('PROTOCOL')
    expect(store.uploads.size).to.equal(0)
  })

  for (const patchAnswer of ['no-location', 'status-201', 'stuck-range'] as const) {
    it(`arrive where the answer to a chunk is peculiar: ${patchAnswer}`, async () => {
      const one = await rig({maxMonolithic: MIB, patchAnswer}, {chunkBytes: MIB})
      await one.repository.blobs.push(BLOB, bufferSource(BYTES))
      expect(stored(one)).to.equal(true)
    })
  }

  it('begin again from the first when one is lost', async () => {
    const one = await rig({maxMonolithic: MIB}, {chunkBytes: MIB})
    one.fake.fail({dropRequestAfter: 1000, method: 'PATCH', skip: 1})
    const source = countedSource(BYTES)
    await one.repository.blobs.push(BLOB, source, {force: true})
    expect(stored(one)).to.equal(true)
    // The refused whole, the broken chunks, and the chunks.
    expect(source.opened).to.equal(3)
    expect(one.fake.count('POST')).to.equal(3)
    expect(one.stored.uploads.size).to.equal(0)
  })

  it('never complete a source that is not what it says', async () => {
    const {repository, stored: store} = await rig({maxMonolithic: 1000}, {chunkBytes: MIB})
    const other = Buffer.from(BYTES)
    other[BYTES.length - 1] = 255 - other.at(-1)!
    expect((await failureOf(repository.blobs.push(BLOB, lyingSource(BYTES.length, other)))).code).to.equal('INTEGRITY')
    expect(store.blobs.size).to.equal(0)
    expect(store.uploads.size).to.equal(0)
  })

  it('are tried when a large body gets lost twice', async () => {
    const one = await rig({}, {chunkBytes: MIB})
    one.fake.fail({dropRequestAfter: MIB, method: 'PUT', path: /uploads/, times: 99})
    await one.repository.blobs.push(BLOB, bufferSource(BYTES))
    expect(stored(one)).to.equal(true)
    expect(one.fake.count('PATCH')).to.equal(3)
  })

  it('are no help against a refusal of something small', async () => {
    const {fake, repository} = await rig()
    fake.fail({method: 'PUT', path: /uploads/, status: 413, times: 99})
    const error = await failureOf(pushBlob(repository, randomBytes(1000)))
    expect(error.code).to.equal('REGISTRY')
    expect(error.facts['status']).to.equal(413)
    expect(fake.count('PUT')).to.equal(1)
  })
})
