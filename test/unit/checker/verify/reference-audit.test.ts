import {expect} from 'chai'
import {createHash} from 'node:crypto'

import type {Mac} from '../../../../src/kloset/mac.js'

import {BLOB_KEY_BYTES, writeBlobKey} from '../../../../src/checker/verify/blob-key.js'
import {LocationLog} from '../../../../src/checker/verify/location-log.js'
import {ReferenceAudit} from '../../../../src/checker/verify/reference-audit.js'
import {INDEXED, ReferenceList} from '../../../../src/checker/verify/references.js'
import {BLOB_TYPES} from '../../../../src/kloset/blob-type.js'
import {macToBytes} from '../../../../src/kloset/mac.js'
import {LocationEntry, StateIndex, type WritableEntry} from '../../../../src/kloset/state.js'
import {makeVersion} from '../../../../src/kloset/version.js'
import {type Random, seeded} from '../../../helpers/random.js'

const {chunk, object, packfile: packfileType, vfsEntry} = BLOB_TYPES
const TYPES = [chunk, object, vfsEntry]
const when = {nanoseconds: 0, seconds: 1}

const draw = seeded(31)
const blobs = Array.from({length: 40}, () => draw.bytes(32).toString('hex') as Mac)
const packfiles = Array.from({length: 8}, () => draw.bytes(32).toString('hex') as Mac)

const placed = (type: number, mac: Mac, packfile: Mac) =>
  LocationEntry.of({flags: 0, length: 1, mac, offset: 0, packfile, type, version: makeVersion(1, 0, 0)})
const known = (packfile: Mac): WritableEntry => ({kind: 'packfile', packfile, state: packfile, timestamp: when})

function pick<T>(random: Random, of: readonly T[]): T {
  return of[random.below(of.length)]!
}

/** Any entry that a state may have, often about what an earlier one was about. */
function anyEntry(random: Random): WritableEntry {
  const mac = pick(random, blobs)
  const packfile = pick(random, packfiles)
  const type = pick(random, TYPES)
  switch (random.below(12)) {
    case 0: {
      return {entry: 'packfile', kind: 'delete', mac: packfile, packfile, type: packfileType}
    }

    case 1: {
      return {entry: 'coloured', kind: 'delete', mac: packfile, packfile, type: packfileType}
    }

    case 2: {
      return {kind: 'coloured', mac: packfile, type: packfileType, when}
    }

    case 3:
    case 4: {
      return known(packfile)
    }

    case 5:
    case 6: {
      return {entry: 'location', kind: 'delete', mac, packfile, type}
    }

    default: {
      return placed(type, mac, packfile)
    }
  }
}

function keyOf(type: number, mac: Mac): Buffer {
  const key = Buffer.alloc(BLOB_KEY_BYTES)
  writeBlobKey(key, type, macToBytes(mac), 0)
  return key
}

const always = () => true

describe('references and locations on the disk', () => {
  it('say of every blob what the index in memory says, whatever came, went and came back', () => {
    let readable = 0
    for (let seed = 0; seed < 80; seed++) {
      const random = seeded(seed)
      const missing = pick(random, packfiles)
      // eslint-disable-next-line unicorn/consistent-function-scoping -- of this seed
      const hasPackfile = (mac: Mac) => mac !== missing
      const index = new StateIndex()
      const log = new LocationLog({hasPackfile})
      for (let number = 0; number < 120; number++) {
        const entry = anyEntry(random)
        index.add(entry)
        log.add(entry)
      }

      for (const mac of blobs) {
        const keys = log.readable(macToBytes(mac)[0]!)
        for (const type of TYPES) {
          // Another place would do as well as the first one.
          const rows = index.locations(type, mac).filter(({packfile}) => {
            const entry = index.packfile(packfile)!
            return entry.known && entry.coloured === undefined && hasPackfile(packfile)
          })
          if (rows.length > 0) readable += 1
          expect(keys.has(keyOf(type, mac)), `seed ${seed}: type ${type} of ${mac}`).to.equal(rows.length > 0)
        }
      }

      log.dispose()
    }

    expect(readable).to.be.greaterThan(500)
  })

  it('tell one missing blob among a hundred thousand, by its MAC and by its type', async () => {
    const packfile = packfiles[0]!
    const log = new LocationLog({hasPackfile: always})
    log.add(known(packfile))
    const macs = Array.from({length: 150_000}, (_, number) => {
      const mac = createHash('sha256').update(String(number)).digest('hex') as Mac
      log.add(placed(chunk, mac, packfile))
      return mac
    })
    const early = macs[78]!.replace(/^(.{12})./, (all, start: string) => start + (all.endsWith('0') ? '1' : '0')) as Mac
    const audits: [string, (list: ReferenceList) => void, boolean][] = [
      ['all there', () => {}, true],
      ['a type that it has not', (list) => list.add(object, macs[5]!), false],
      ['a value of an index that is none', (list) => list.add(INDEXED, macs[5]!), false],
      ['a name that begins in another way', (list) => list.add(chunk, early), false],
      ['zeros', (list) => list.add(INDEXED, '0'.repeat(64) as Mac), false],
    ]
    for (const [what, more, isSound] of audits) {
      const audit = new ReferenceAudit()
      const list = new ReferenceList()
      for (const mac of macs) list.add(chunk, mac)
      for (const mac of macs.slice(0, 50)) list.add(chunk, mac)
      more(list)
      audit.note(list.bytes)
      expect(await audit.isSound(log), what).to.equal(isSound)
      audit.dispose()
    }

    log.add(placed(vfsEntry, macs[0]!, packfile))
    const audit = new ReferenceAudit()
    const list = new ReferenceList()
    list.add(INDEXED, macs[0]!)
    audit.note(list.bytes)
    expect(await audit.isSound(log), 'a value of an index').to.equal(true)
    audit.dispose()
    log.dispose()
  })
})
