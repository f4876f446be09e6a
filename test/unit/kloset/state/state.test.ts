import {expect} from 'chai'

import type {Mac} from '../../../../src/kloset/mac.js'

import {InvalidArgumentError, StoreFormatError, VersionError} from '../../../../src/errors.js'
import {BLOB_TYPES} from '../../../../src/kloset/blob-type.js'
import {openEnvelope} from '../../../../src/kloset/envelope.js'
import {
  decodeState,
  encodeState,
  LocationEntry,
  NIL_MAC,
  StateDecoder,
  type StateEntry,
  timestampFromNanos,
  timestampToNanos,
  type WritableEntry,
} from '../../../../src/kloset/state.js'
import {makeVersion} from '../../../../src/kloset/version.js'
import {failureIn, failureOf} from '../../../helpers/failure.js'
import {GOLDEN, type GoldenName} from '../../../helpers/hooks.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'

const V100 = makeVersion(1, 0, 0)
const V110 = makeVersion(1, 1, 0)
const mac = (digit: string) => digit.repeat(64) as Mac

/** Every state of a golden store: its tag's MAC and its decoded data. */
async function goldenStates(name: GoldenName): Promise<Map<Mac, Buffer>> {
  const {codec, hasher, objects} = await unlockedGolden(name)
  const states = new Map<Mac, Buffer>()
  for (const [tag, bytes] of objects) {
    if (!tag.startsWith('state-')) continue
    hasher.reset()
    states.set(tag.slice(6) as Mac, codec.decode(openEnvelope(bytes, {hasher, resource: 'state', what: tag}).data))
  }

  return states
}

function entriesOf(data: Buffer, version = V110, slice = data.length): StateEntry[] {
  const decoder = new StateDecoder(version, 'state')
  const entries: StateEntry[] = []
  for (let at = 0; at < data.length; at += slice) {
    for (const entry of decoder.push(data.subarray(at, at + slice))) {
      entries.push(entry.kind === 'location' ? new LocationEntry(Buffer.from(entry.record)) : entry)
    }
  }

  decoder.end()
  return entries
}

const location = (fields: Partial<Parameters<typeof LocationEntry.of>[0]> = {}) =>
  LocationEntry.of({
    flags: 0,
    length: 10,
    mac: mac('a'),
    offset: 5,
    packfile: mac('b'),
    type: BLOB_TYPES.chunk,
    version: V100,
    ...fields,
  })

/** One of each, with fields that a wrong order or width would mix up. */
const SAMPLE: WritableEntry[] = [
  {entry: 'location', kind: 'delete', mac: mac('1'), packfile: mac('2'), type: 9},
  {entry: 'coloured', kind: 'delete', mac: mac('3'), packfile: NIL_MAC, type: 4},
  {entry: 'packfile', kind: 'delete', mac: NIL_MAC, packfile: mac('4'), type: 0},
  location({flags: 0x01_02_03_04, length: 0xff_ff_ff_ff, offset: 0x12_34_56_78_9a_bc, type: 21, version: 0x01_02_03}),
  {kind: 'coloured', mac: mac('5'), type: 5, when: {nanoseconds: 123_456_789, seconds: 1_700_000_000}},
  {kind: 'packfile', packfile: mac('6'), state: mac('7'), timestamp: {nanoseconds: 1, seconds: -1}},
  {createdAt: {nanoseconds: 0, seconds: 0}, key: 'clé', kind: 'configuration', value: Buffer.from([0, 255])},
]
const METADATA = {serial: Buffer.from('0123456789abcdef'), timestamp: {nanoseconds: 999_999_999, seconds: 1}}

describe('state', function () {
  for (const name of GOLDEN) {
    it(`decodes the states of ${name}, and encodes them to the same bytes`, async function () {
      const states = await goldenStates(name)
      expect(states.size).to.equal(2)
      for (const data of states.values()) {
        const entries = entriesOf(data)
        const metadata = entries.pop()!
        expect(metadata.kind).to.equal('metadata')
        if (metadata.kind !== 'metadata') return
        expect(metadata.version).to.equal(V110)
        const kinds = new Set(entries.map(({kind}) => kind))
        expect([...kinds].sort()).to.deep.equal(['location', 'packfile'])
        const decoder = new StateDecoder(V110, 'state')
        for (const entry of decoder.push(data)) expect(entry.kind).to.not.equal('unknown')
        const encoded = Buffer.concat([
          ...encodeState({entries: entries as WritableEntry[], metadata, parent: decoder.parent}),
        ])
        expect(encoded.equals(data)).to.equal(true)
      }
    })
  }

  it('says which state follows which', async function () {
    const states = await goldenStates('plaintext')
    const parents = [...states].map(([state, data]) => {
      const decoder = new StateDecoder(V110, 'state')
      expect([...decoder.push(data.subarray(0, 40))]).to.deep.equal([])
      return [state, decoder.parent] as const
    })
    const first = parents.find(([, parent]) => parent === NIL_MAC)!
    const second = parents.find(([, parent]) => parent !== NIL_MAC)!
    expect(second[1]).to.equal(first[0])
  })

  it('gives back what it wrote, in slices of any size', function () {
    const data = Buffer.concat([...encodeState({entries: SAMPLE, metadata: METADATA, parent: mac('9')})])
    const expected = [...SAMPLE, {kind: 'metadata', ...METADATA, version: V110}]
    for (const slice of [1, 2, 3, 5, 31, 32, 33, 64, data.length]) {
      expect(entriesOf(data, V110, slice), `slices of ${slice}`).to.deep.equal(expected)
    }

    const entry = entriesOf(data).find(({kind}) => kind === 'location') as LocationEntry
    expect([
      entry.mac,
      entry.packfile,
      entry.offset,
      entry.length,
      entry.flags,
      entry.type,
      entry.version,
    ]).to.deep.equal([mac('a'), mac('b'), 0x12_34_56_78_9a_bc, 0xff_ff_ff_ff, 0x01_02_03_04, 21, 0x01_02_03])
  })

  it('yields large states in slices', function () {
    const many = Array.from({length: 5000}, (_, index) => location({offset: index}))
    const slices = [...encodeState({entries: many, metadata: METADATA})]
    expect(slices.length).to.be.greaterThan(5)
    for (const slice of slices) expect(slice.length).to.be.lessThan(70_000)
    expect(entriesOf(Buffer.concat(slices), V110, 1000).length).to.equal(5001)
  })

  it('reads version 1.0.0, which has no parent', async function () {
    const data = Buffer.concat([...encodeState({entries: SAMPLE, metadata: METADATA})])
    const entries: StateEntry[] = []
    const source = (async function* () {
      yield data.subarray(32)
    })()
    for await (const entry of decodeState(source, V100, 'state')) entries.push(entry)
    expect(entries.length).to.equal(SAMPLE.length + 1)
  })

  it('refuses versions that it does not know', function () {
    for (const version of [0, makeVersion(1, 2, 0), makeVersion(2, 0, 0), V110 + 2 ** 24]) {
      expect(failureIn(() => new StateDecoder(version, 'state'))).to.be.instanceOf(VersionError)
    }
  })

  it('passes over entries of unknown types, however long they claim to be', function () {
    const unknown = Buffer.from([77, 4, 0, 0, 0, 1, 2, 3, 4])
    const whole = Buffer.concat([...encodeState({entries: SAMPLE, metadata: METADATA})])
    const data = Buffer.concat([whole.subarray(0, 32), unknown, whole.subarray(32)])
    for (const slice of [1, 3, data.length]) {
      const entries = entriesOf(data, V110, slice)
      expect(entries[0]).to.deep.equal({entryType: 77, kind: 'unknown', length: 4})
      expect(entries.length).to.equal(SAMPLE.length + 2)
    }

    const endless = Buffer.concat([Buffer.alloc(32), Buffer.from([77, 255, 255, 255, 255]), Buffer.alloc(1000)])
    expect(failureIn(() => entriesOf(endless))).to.be.instanceOf(StoreFormatError)
  })

  it('refuses entries of a wrong length, and what goes on behind the end', function () {
    const head = (type: number, length: number) => {
      const bytes = Buffer.alloc(32 + 5 + 200)
      bytes[32] = type
      bytes.writeUInt32LE(length, 33)
      return bytes
    }

    for (const [type, length] of [
      [2, 84],
      [2, 86],
      [3, 40],
      [4, 0],
      [6, 2 ** 32 - 1],
      [5, 10],
      [5, 65_802],
      [5, 12],
    ] as const) {
      expect(
        failureIn(() => entriesOf(head(type, length))),
        `${type} of ${length}`,
      ).to.be.instanceOf(StoreFormatError)
    }

    const data = Buffer.concat([...encodeState({entries: SAMPLE, metadata: METADATA})])
    expect(failureIn(() => entriesOf(Buffer.concat([data, Buffer.from([0])])))).to.be.instanceOf(StoreFormatError)
    const far = location()
    far.record.writeUInt32LE(2 ** 16, 73)
    expect(
      failureIn(() => entriesOf(Buffer.concat([...encodeState({entries: [far], metadata: METADATA})]))),
    ).to.be.instanceOf(StoreFormatError)
  })

  it('refuses a state that ends early, at every length', async function () {
    const data = Buffer.concat([...encodeState({entries: SAMPLE, metadata: METADATA})])
    for (let length = 0; length < data.length; length++) {
      expect(
        failureIn(() => entriesOf(data.subarray(0, length))),
        `${length} bytes`,
      ).to.be.instanceOf(StoreFormatError)
    }

    const source = (async function* () {
      yield data.subarray(0, 100)
    })()
    const drain = async () => {
      let count = 0
      for await (const entry of decodeState(source, V110, 'state f00')) count += entry.kind.length
      return count
    }

    expect((await failureOf(drain())).message).to.contain('state f00')
  })

  it('does not write what does not fit', function () {
    const entry = {createdAt: METADATA.timestamp, kind: 'configuration'} as const
    for (const wrong of [
      {...entry, key: 'k'.repeat(256), value: Buffer.alloc(0)},
      {...entry, key: 'k', value: Buffer.alloc(65_536)},
    ]) {
      expect(failureIn(() => [...encodeState({entries: [wrong], metadata: METADATA})])).to.be.instanceOf(
        InvalidArgumentError,
      )
    }
  })

  it('keeps times to the nanosecond, before the epoch too', function () {
    for (const nanos of [0n, 1n, -1n, -1_000_000_000n, 1_763_932_387_815_864_755n, -(2n ** 63n), 2n ** 63n - 1n]) {
      const timestamp = timestampFromNanos(nanos)
      expect(timestamp.nanoseconds).to.be.within(0, 999_999_999)
      expect(timestampToNanos(timestamp)).to.equal(nanos)
    }
  })
})
