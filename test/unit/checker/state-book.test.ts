import {expect} from 'chai'

import {StateBook, StateNotes} from '../../../src/checker/state-book.js'
import {BLOB_TYPES, type BlobType} from '../../../src/kloset/blob-type.js'
import {type Mac} from '../../../src/kloset/mac.js'
import {LocationEntry, type StateEntry, StateIndex} from '../../../src/kloset/state.js'
import {testMac} from '../../helpers/macs.js'

const WHEN = {nanoseconds: 0, seconds: 1n} as unknown as Extract<StateEntry, {kind: 'coloured'}>['when']
const [SNAPSHOT, OTHER, PACKFILE, ELSEWHERE, STATE] = [1, 2, 3, 4, 5].map((number) => testMac(number)) as [
  Mac,
  Mac,
  Mac,
  Mac,
  Mac,
]

const at = (mac: Mac, packfile: Mac): StateEntry =>
  LocationEntry.of({flags: 0, length: 1, mac, offset: 0, packfile, type: BLOB_TYPES.snapshot, version: 0x01_00_00})
const coloured = (type: BlobType, mac: Mac): StateEntry => ({kind: 'coloured', mac, type, when: WHEN})
const knows = (packfile: Mac): StateEntry => ({kind: 'packfile', packfile, state: STATE, timestamp: WHEN})
const takesBack = (entry: 'coloured' | 'packfile', type: BlobType, mac: Mac): StateEntry => ({
  entry,
  kind: 'delete',
  mac,
  packfile: mac,
  type,
})

describe('state book', () => {
  const cases: [string, StateEntry[][], number][] = [
    ['nothing', [], 0],
    ['a snapshot', [[at(SNAPSHOT, PACKFILE), knows(PACKFILE)]], 1],
    ['a snapshot that two states place', [[at(SNAPSHOT, PACKFILE), knows(PACKFILE)], [at(SNAPSHOT, ELSEWHERE)]], 1],
    [
      'two snapshots',
      [
        [at(SNAPSHOT, PACKFILE), knows(PACKFILE)],
        [at(OTHER, ELSEWHERE), knows(ELSEWHERE)],
      ],
      2,
    ],
    ['a snapshot in a packfile that no state knows', [[at(SNAPSHOT, PACKFILE)]], 0],
    ['a deleted snapshot', [[at(SNAPSHOT, PACKFILE), knows(PACKFILE)], [coloured(BLOB_TYPES.snapshot, SNAPSHOT)]], 0],
    [
      'a snapshot whose deletion was taken back',
      [
        [at(SNAPSHOT, PACKFILE), knows(PACKFILE)],
        [coloured(BLOB_TYPES.snapshot, SNAPSHOT)],
        [takesBack('coloured', BLOB_TYPES.snapshot, SNAPSHOT)],
      ],
      1,
    ],
    [
      'a snapshot whose packfile was removed',
      [[at(SNAPSHOT, PACKFILE), knows(PACKFILE)], [takesBack('packfile', BLOB_TYPES.packfile, PACKFILE)]],
      0,
    ],
    [
      'a snapshot whose packfile is only marked',
      [[at(SNAPSHOT, PACKFILE), knows(PACKFILE)], [coloured(BLOB_TYPES.packfile, PACKFILE)]],
      1,
    ],
  ]
  for (const [what, states, count] of cases) {
    it(`counts snapshots as the index of all states lists them: ${what}`, () => {
      const book = new StateBook()
      const index = new StateIndex()
      for (const [number, entries] of states.entries()) {
        const notes = new StateNotes()
        for (const entry of entries) {
          notes.take(entry)
          index.add(entry)
        }

        book.add(testMac(100 + number), notes.end())
      }

      expect(book.snapshotCount).to.equal(count)
      expect([...index.snapshots()]).to.have.length(count)
      index.dispose()
    })
  }
})
