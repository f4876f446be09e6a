import {expect} from 'chai'

import {collectGcCheck, measureUsage} from '../../../../src/checker/index.js'
import {BLOB_TYPES} from '../../../../src/kloset/blob-type.js'
import {StoreContents} from '../../../../src/kloset/contents.js'
import {sealEnvelope} from '../../../../src/kloset/envelope.js'
import {PackfileWriter} from '../../../../src/kloset/packfile-writer.js'
import {encodeState, LocationEntry, STATE_VERSION, type WritableEntry} from '../../../../src/kloset/state.js'
import {KlosetStore} from '../../../../src/kloset/store.js'
import {timestampFromMillis} from '../../../../src/kloset/timestamp.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {goldenInMemory} from '../../../helpers/golden.js'
import {testMac} from '../../../helpers/macs.js'
import {emptyStore, knows, NOW, putState, sealed, TEST_CLOCK} from '../../../helpers/test-store.js'

describe('gc-check of what blobs are for', function () {
  it('finds what no snapshot needs and what is there twice, only when it is asked to', async function () {
    const {repository, store} = await emptyStore()
    const contents = await StoreContents.open(store)
    const put = async (...texts: readonly string[]) => {
      const writer = new PackfileWriter(contents)
      const blobs = texts.map((text) => writer.add(BLOB_TYPES.chunk, Buffer.from(text)))
      const {data, mac} = writer.finish(timestampFromMillis(NOW))
      await store.put('packfile', mac, bufferSource(await sealed('packfile', data)))
      const locations = blobs.map((blob) => LocationEntry.of({...blob, packfile: mac}))
      return [knows(mac), ...locations]
    }

    await putState(store, 1, [...(await put('alone', 'twice')), ...(await put('twice'))])
    const quiet = await collectGcCheck(repository, {clock: TEST_CLOCK})
    expect(quiet.findings.map(({kind}) => kind)).to.not.include('blob-duplicate')
    const {findings, summary} = await collectGcCheck(repository, {clock: TEST_CLOCK, references: true})
    const found = findings.filter(({kind}) => /^blob-|unreachable/.test(kind))
    expect(found.map(({count, found: bytes, kind}) => [kind, count, bytes])).to.deep.equal([
      ['packfile-unreachable', 2, 10],
      ['blob-duplicate', 1, 5],
    ])
    expect(summary.verdict).to.equal('clean')
  })

  it('finds states of deleted snapshots, and the blobs that only they needed', async function () {
    const repository = await goldenInMemory('plaintext')
    const store = new KlosetStore(repository)
    const contents = await StoreContents.open(store)
    const [deleted] = [...contents.index.snapshots()].map(({mac}) => mac)
    const {codec, hashers, index} = contents
    expect(index.states.has(deleted!)).to.equal(true)
    const entry: WritableEntry = {
      kind: 'coloured',
      mac: deleted!,
      type: BLOB_TYPES.snapshot,
      when: timestampFromMillis(NOW),
    }
    const metadata = {serial: Buffer.alloc(16), timestamp: timestampFromMillis(NOW)}
    const data = codec.encode(Buffer.concat([...encodeState({entries: [entry], metadata})]))
    const bytes = sealEnvelope(data, {hasher: await hashers.take(), resource: 'state', version: STATE_VERSION})
    await store.put('state', testMac(5), bufferSource(bytes))
    const {findings} = await collectGcCheck(repository, {references: true})
    expect(findings.find(({kind}) => kind === 'state-deleted')?.snapshots).to.deep.equal([deleted])
    const waste = findings.filter(({kind}) => kind === 'blob-unreachable' || kind === 'packfile-unreachable')
    expect(waste.length).to.be.greaterThan(0)
    const report = await measureUsage(repository, {blobs: true})
    expect(report.inside).to.include({deletedSnapshots: 1, snapshots: 1})
    expect(report.inside!.deletedStates.count).to.equal(1)
    expect(report.blobs!.unreachable.count).to.equal(waste.reduce((sum, {count}) => sum + count!, 0))
  })
})
