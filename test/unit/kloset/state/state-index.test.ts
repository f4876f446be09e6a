import {expect} from 'chai'

import type {Mac} from '../../../../src/kloset/mac.js'

import {BLOB_TYPES} from '../../../../src/kloset/blob-type.js'
import {openEnvelope} from '../../../../src/kloset/envelope.js'
import {
  encodeState,
  LocationEntry,
  type LocationFields,
  NIL_MAC,
  StateIndex,
  type WritableEntry,
} from '../../../../src/kloset/state.js'
import {makeVersion} from '../../../../src/kloset/version.js'
import {GOLDEN} from '../../../helpers/hooks.js'
import {seeded} from '../../../helpers/random.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'

const V100 = makeVersion(1, 0, 0)
const V110 = makeVersion(1, 1, 0)
const {chunk, packfile: packfileType, snapshot} = BLOB_TYPES
const mac = (digit: string) => digit.repeat(64) as Mac
const at = (seconds: number) => ({nanoseconds: 0, seconds})

const known = (packfile: Mac): WritableEntry => ({kind: 'packfile', packfile, state: mac('0'), timestamp: at(1)})
const coloured = (type: number, of: Mac, seconds = 1): WritableEntry => ({
  kind: 'coloured',
  mac: of,
  type,
  when: at(seconds),
})
const location = (of: Mac, packfile: Mac, fields: Partial<LocationFields> = {}) =>
  LocationEntry.of({flags: 0, length: 1, mac: of, offset: 0, packfile, type: chunk, version: V100, ...fields})

/** @param packfile of a location or a packfile */
const gone = (entry: 'coloured' | 'location' | 'packfile', of: Mac, packfile: Mac, type: number): WritableEntry => ({
  entry,
  kind: 'delete',
  mac: of,
  packfile,
  type,
})

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

/** An index of states with the given entries, one after the other. */
async function indexOf(...states: readonly WritableEntry[][]): Promise<StateIndex> {
  const index = new StateIndex()
  for (const [number, entries] of states.entries()) {
    const metadata = {serial: Buffer.alloc(16, number + 1), timestamp: at(number)}
    const data = Buffer.concat([...encodeState({entries, metadata})])
    await index.addState(mac(String(number)), once(data), V110)
  }

  return index
}

describe('state index', function () {
  for (const name of GOLDEN) {
    it(`knows every blob of ${name}, and its snapshots`, async function () {
      const {codec, hasher, objects} = await unlockedGolden(name)
      const index = new StateIndex()
      for (const [tag, bytes] of objects) {
        if (!tag.startsWith('state-')) continue
        hasher.reset()
        const {data, version} = openEnvelope(bytes, {hasher, resource: 'state', what: tag})
        await index.addState(tag.slice(6) as Mac, codec.decodeStream(once(data)), version)
      }

      const packfiles = new Set(
        [...objects.keys()].filter((tag) => tag.startsWith('packfiles-')).map((tag) => tag.slice(10)),
      )
      expect(new Set([...index.packfiles()].map((packfile) => packfile.mac))).to.deep.equal(packfiles)
      expect([...index.packfiles()].every((packfile) => packfile.known && !packfile.coloured)).to.equal(true)
      // plakar names the state of a backup after its snapshot.
      expect([...index.snapshots()].map((one) => one.mac).sort()).to.deep.equal([...index.states.keys()].sort())
      let count = 0
      for (const one of index.allLocations()) {
        count += 1
        expect(index.locations(one.type, one.mac)).to.deep.include(one)
        expect(index.locate(one.type, one.mac)?.mac).to.equal(one.mac)
        const size = objects.get(`packfiles-${one.packfile}`)!.length
        expect(one.offset + one.length).to.be.lessThan(size)
      }

      expect(count).to.equal(index.locationCount)
      expect(count).to.equal(148)
    })
  }

  it('finds a blob only where its packfile is known and not deleted, as kloset does', async function () {
    const index = await indexOf([
      location(mac('a'), mac('1')),
      location(mac('b'), mac('2')),
      location(mac('c'), mac('3')),
      location(mac('c'), mac('4'), {offset: 7}),
      known(mac('1')),
      known(mac('3')),
      known(mac('4')),
      coloured(packfileType, mac('3')),
    ])
    expect(index.locate(chunk, mac('a'))?.packfile).to.equal(mac('1'))
    expect(index.locate(snapshot, mac('a')), 'of another type').to.equal(undefined)
    expect(index.locate(chunk, mac('b')), 'in an unknown packfile').to.equal(undefined)
    expect(index.locations(chunk, mac('b')).length).to.equal(1)
    expect(index.locate(chunk, mac('c')), 'deleted in one place').to.include({offset: 7, packfile: mac('4')})
    expect(index.locations(chunk, mac('c')).map((one) => one.packfile)).to.deep.equal([mac('3'), mac('4')])
    expect(index.packfile(mac('3'))?.coloured).to.deep.equal(at(1))
    expect(index.packfile(mac('2'))?.known).to.equal(false)
    expect(index.packfile(mac('9'))).to.equal(undefined)
  })

  it('keeps the first of equal entries, and the newest configuration', async function () {
    const value = (text: string, seconds: number): WritableEntry => ({
      createdAt: at(seconds),
      key: 'key',
      kind: 'configuration',
      value: Buffer.from(text),
    })
    const index = await indexOf([
      location(mac('a'), mac('1'), {offset: 1}),
      location(mac('a'), mac('1'), {offset: 2}),
      known(mac('1')),
      coloured(snapshot, mac('5'), 10),
      coloured(snapshot, mac('5'), 20),
      value('old', 5),
      value('new', 9),
      value('older', 1),
    ])
    expect(index.locationCount).to.equal(1)
    expect(index.locate(chunk, mac('a'))?.offset).to.equal(1)
    expect(index.colouredAt(snapshot, mac('5'))).to.deep.equal(at(10))
    expect([...index.coloured(snapshot)].length).to.equal(1)
    expect([...index.coloured(packfileType)].length).to.equal(0)
    expect(index.configuration('key')?.value.toString()).to.equal('new')
  })

  it('takes back what a later state deletes, and takes it in again', async function () {
    const first = [
      location(mac('a'), mac('1')),
      location(mac('b'), mac('1')),
      location(mac('b'), mac('2')),
      location(mac('c'), mac('2')),
      known(mac('1')),
      known(mac('2')),
      coloured(packfileType, mac('2')),
    ]
    const index = await indexOf(first, [
      gone('location', mac('b'), mac('1'), chunk),
      gone('location', mac('b'), mac('9'), chunk),
      gone('coloured', mac('2'), NIL_MAC, packfileType),
    ])
    expect(index.locate(chunk, mac('b'))?.packfile).to.equal(mac('2'))
    expect(index.locations(chunk, mac('b')).length).to.equal(1)
    expect([...index.coloured()].length).to.equal(0)

    const without = await indexOf(first, [gone('packfile', NIL_MAC, mac('2'), 0)])
    expect(without.packfile(mac('2'))?.known).to.equal(false)
    expect([...without.allLocations()].map((one) => one.mac)).to.deep.equal([mac('a'), mac('b')])

    const again = await indexOf(
      first,
      [gone('packfile', NIL_MAC, mac('2'), 0), gone('coloured', mac('2'), NIL_MAC, packfileType)],
      [location(mac('c'), mac('2'), {offset: 3}), known(mac('2'))],
    )
    expect(again.locate(chunk, mac('c'))?.offset).to.equal(3)
    expect(again.locations(chunk, mac('b')).length).to.equal(1)
  })

  it('lists snapshots once, without the deleted and the lost', async function () {
    const index = await indexOf([
      location(mac('a'), mac('1'), {type: snapshot}),
      location(mac('a'), mac('2'), {type: snapshot}),
      location(mac('b'), mac('1'), {type: snapshot}),
      location(mac('c'), mac('9'), {type: snapshot}),
      known(mac('1')),
      known(mac('2')),
      coloured(snapshot, mac('b')),
    ])
    expect([...index.snapshots()].map((one) => one.mac)).to.deep.equal([mac('a')])
  })

  it('goes on with the newest serial, which begins as the identifier', async function () {
    const id = Buffer.from('0123456789abcdef')
    expect(new StateIndex().serial(id).equals(id)).to.equal(true)
    const index = await indexOf([], [], [])
    expect(index.serial(id).equals(Buffer.alloc(16, 3))).to.equal(true)
  })

  it('agrees with a plain map over many random entries, and is compact', async function () {
    const random = seeded(20)
    const index = new StateIndex()
    const plain = new Map<string, string>()
    const packfiles = Array.from({length: 50}, () => random.bytes(32).toString('hex') as Mac)
    const blobs = Array.from({length: 30_000}, () => random.bytes(32).toString('hex') as Mac)
    for (let step = 0; step < 60_000; step++) {
      const fields = {
        flags: 0,
        length: random.below(2 ** 32),
        mac: blobs[random.below(blobs.length)]!,
        offset: random.below(2 ** 47),
        packfile: packfiles[random.below(packfiles.length)]!,
        type: random.below(3) + 9,
        version: V100,
      }
      const key = `${fields.type} ${fields.mac} ${fields.packfile}`
      if (random.below(10) === 0) {
        index.add({entry: 'location', kind: 'delete', mac: fields.mac, packfile: fields.packfile, type: fields.type})
        plain.delete(key)
      } else {
        index.add(LocationEntry.of(fields))
        if (!plain.has(key)) plain.set(key, JSON.stringify(fields))
      }
    }

    const found = new Map<string, string>()
    for (const fields of index.allLocations()) {
      found.set(`${fields.type} ${fields.mac} ${fields.packfile}`, JSON.stringify(fields))
    }

    expect(found.size).to.equal(plain.size)
    for (const [key, fields] of plain) expect(found.get(key)).to.equal(fields)
    expect(index.locationCount).to.equal(plain.size)
    expect(index.bytes / index.locationCount).to.be.lessThan(80)
  })

  it('keeps only the locations that it is asked to keep', function () {
    const index = new StateIndex({keep: (entry) => entry.record[5]! < 0x80})
    index.add(location(mac('1'), mac('a')))
    index.add(location(mac('f'), mac('a')))
    expect([...index.allLocations()].map((one) => one.mac)).to.deep.equal([mac('1')])
  })
})
