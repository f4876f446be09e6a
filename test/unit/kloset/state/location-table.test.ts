import {expect} from 'chai'
import {readdirSync} from 'node:fs'

import type {Mac} from '../../../../src/kloset/mac.js'

import {LocationEntry, StateIndex} from '../../../../src/kloset/state.js'
import {LocationTable} from '../../../../src/kloset/state/location-table.js'
import {scratchDir} from '../../../helpers/hooks.js'
import {seeded} from '../../../helpers/random.js'

type Draw = ReturnType<typeof seeded>

/** A location like few others: MACs come again, with the same type and with another. */
function draw(from: Draw, macs: readonly Buffer[], packfiles: readonly string[]): LocationEntry {
  return LocationEntry.of({
    flags: from.below(2),
    length: from.below(2 ** 31),
    mac: macs[from.below(macs.length)]!.toString('hex') as Mac,
    offset: from.below(2 ** 16) * 2 ** 32 + from.below(2 ** 31),
    packfile: packfiles[from.below(packfiles.length)] as Mac,
    type: 7 + from.below(4),
    version: 65_536,
  })
}

const macsOf = (from: Draw, count: number) => Array.from({length: count}, () => from.bytes(32))
const hexOf = (from: Draw, count: number) => macsOf(from, count).map((mac) => mac.toString('hex'))

describe('LocationTable', () => {
  it('finds and takes back rows on the disk as it does in memory', () => {
    const dir = scratchDir('locations')
    const from = seeded(31)
    const macs = macsOf(from, 1500)
    const inMemory = new LocationTable()
    // Runs of several pages, the last rows in memory.
    const stored = new LocationTable({dir, runRows: 1024})
    const tables = [inMemory, stored]
    const rowsOf = (table: LocationTable) =>
      macs.flatMap((mac) => [7, 8, 9, 10, 11].map((type) => table.rowsOf(type, mac)))
    for (let number = 0; number < 9000; number++) {
      const entry = draw(from, macs, ['0'.repeat(64)])
      for (const table of tables) table.add(entry, number % 7)
      if (number % 5 === 0) {
        const row = from.below(number + 1)
        for (const table of tables) table.remove(row)
      }
    }

    expect(inMemory.bytesOnDisk).to.equal(0)
    expect(stored.bytesOnDisk).to.be.greaterThan(8 * 1024 * 48)
    expect(stored.bytes).to.be.lessThan(inMemory.bytes / 4)
    expect([stored.rows, stored.size]).to.deep.equal([inMemory.rows, inMemory.size])
    expect(stored.size).to.be.lessThan(7500)
    expect(JSON.stringify(rowsOf(stored))).to.equal(JSON.stringify(rowsOf(inMemory)))
    expect(inMemory.packfileOf(8998)).to.equal(8998 % 7)
    // One after the other, back, and here and there.
    const orders = [(at: number) => at, (at: number) => 8999 - at, (at: number) => (at * 2741) % 9000]
    const rows = Array.from({length: 9000}, (_, at) => at)
    const readBy = (table: LocationTable, order: (at: number) => number) =>
      rows.map((at) => [table.packfileOf(order(at)), table.typeOf(order(at)), table.read(order(at))])
    for (const order of orders) {
      expect(JSON.stringify(readBy(stored, order))).to.equal(JSON.stringify(readBy(inMemory, order)))
    }

    // Its file has no name.
    expect(readdirSync(dir)).to.deep.equal([])
    for (const table of tables) table.dispose()
    stored.dispose()
  })

  it('keeps everything in memory where nothing can be written', () => {
    const from = seeded(32)
    const macs = macsOf(from, 200)
    const table = new LocationTable({dir: '/nowhere', runRows: 64})
    const entries = Array.from({length: 500}, () => draw(from, macs, ['0'.repeat(64)]))
    for (const entry of entries) table.add(entry, 0)
    expect(table.bytesOnDisk).to.equal(0)
    for (const [row, {mac, offset, type}] of entries.entries()) {
      expect(table.read(row)).to.include({mac, offset, type})
      expect(table.rowsOf(type, Buffer.from(mac, 'hex'))).to.include(row)
    }
  })

  it('makes no difference to an index: what is where, in which packfile, and what is taken back', () => {
    const from = seeded(33)
    const macs = macsOf(from, 700)
    const packfiles = hexOf(from, 9) as Mac[]
    const whole = new StateIndex()
    const parted = new StateIndex({runRows: 128})
    const indexes = [whole, parted]
    const timestamp = {nanoseconds: 0, seconds: 1}
    for (let number = 0; number < 6000; number++) {
      const entry = draw(from, macs, packfiles)
      const what = from.below(40)
      const {mac, packfile, type} = entry
      for (const index of indexes) {
        if (what === 0) index.add({kind: 'packfile', packfile, state: mac, timestamp})
        else if (what === 1) index.add({entry: 'location', kind: 'delete', mac, packfile, type})
        else if (what === 2 && number % 9 === 0) index.add({entry: 'packfile', kind: 'delete', mac, packfile, type: 4})
        else index.add(entry)
      }
    }

    expect(parted.bytes).to.be.lessThan(whole.bytes)
    expect([parted.rowCount, parted.locationCount]).to.deep.equal([whole.rowCount, whole.locationCount])
    const all = [...whole.allLocations()]
    expect(all.length).to.be.greaterThan(1000)
    expect(JSON.stringify([...parted.allLocations()])).to.equal(JSON.stringify(all))
    for (const packfile of packfiles) {
      const own = all.filter((one) => one.packfile === packfile)
      for (const index of indexes) {
        expect(JSON.stringify([...index.locationsIn(packfile)])).to.equal(JSON.stringify(own))
      }
    }

    for (const {mac, type} of all) {
      expect(JSON.stringify(parted.locations(type, mac))).to.equal(JSON.stringify(whole.locations(type, mac)))
      expect(parted.rowOf(type, mac)).to.equal(whole.rowOf(type, mac))
    }

    parted.dispose()
  })
})
