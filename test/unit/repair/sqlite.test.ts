import {expect} from 'chai'
import {execFileSync} from 'node:child_process'
import {copyFileSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {KlosetOciError} from '../../../src/errors.js'
import {SqliteFile} from '../../../src/repair/sources/sqlite/database.js'
import {decodeRecord, readVarint} from '../../../src/repair/sources/sqlite/record.js'
import {flipBit} from '../../helpers/damage.js'
import {failureOf} from '../../helpers/failure.js'
import {FIXTURES, scratchDir} from '../../helpers/hooks.js'
import {needPeer} from '../../helpers/peers.js'

/** A cache of states that plakar has written. */
const GOLDEN = join(FIXTURES, 'plaintext.cache/state.db')
const TABLES = ['states', 'packfiles', 'deltas', 'deleteds']

/** Every row of some tables, as texts. */
async function rowsOf(path: string, tables: readonly string[] = TABLES): Promise<string[]> {
  const file = await SqliteFile.open(path)
  try {
    const rows: string[] = []
    for (const table of tables) {
      for await (const row of file.rows(table)) {
        rows.push(
          `${table} ${row.map((value) => (Buffer.isBuffer(value) ? value.toString('hex') : String(value))).join(' ')}`,
        )
      }
    }

    return rows
  } finally {
    await file.close()
  }
}

function pageSizeOf(database: Buffer): number {
  const stated = database.readUInt16BE(16)
  return stated === 1 ? 65_536 : stated
}

interface Frame {
  readonly bytes: Buffer
  /** Pages of the database once this frame is committed; 0 in the middle of a transaction. */
  readonly commit: number
  readonly page: number
}

/** A write-ahead log as SQLite writes it. */
function logOf(
  frames: readonly Frame[],
  {bigEndian = false, pageBytes, salt = 7}: {bigEndian?: boolean; pageBytes: number; salt?: number},
): Buffer {
  let sums: [number, number] = [0, 0]
  const add = (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += 8) {
      const [a, b] = [at, at + 4].map((index) => (bigEndian ? bytes.readUInt32BE(index) : bytes.readUInt32LE(index)))
      const first = (sums[0] + a! + sums[1]) % 2 ** 32
      sums = [first, (sums[1] + b! + first) % 2 ** 32]
    }
  }

  const words = (...values: number[]) => {
    const bytes = Buffer.alloc(values.length * 4)
    for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4)
    return bytes
  }

  const head = words(bigEndian ? 0x37_7f_06_83 : 0x37_7f_06_82, 3_007_000, pageBytes, 0, salt, salt + 1)
  add(head)
  const parts: Buffer[] = [head, words(...sums)]
  for (const {bytes, commit, page} of frames) {
    const start = words(page, commit)
    add(start)
    add(bytes)
    parts.push(start, words(salt, salt + 1), words(...sums), bytes)
  }

  return Buffer.concat(parts)
}

describe("the reader of plakar's state cache", function () {
  this.timeout(120_000)
  let golden: readonly string[]
  const database = readFileSync(GOLDEN)
  const pageBytes = pageSizeOf(database)
  const pages = Array.from({length: database.length / pageBytes}, (_, index) =>
    database.subarray(index * pageBytes, (index + 1) * pageBytes),
  )
  /** Everything of the golden database as one transaction. */
  const all = pages.map((bytes, index) => ({
    bytes,
    commit: index + 1 === pages.length ? pages.length : 0,
    page: index + 1,
  }))

  before(async () => {
    golden = await rowsOf(GOLDEN)
    expect(golden.length).to.be.greaterThan(4)
  })

  /** A database of its header alone, or of the pages that are given, with a log beside it. */
  function beside(log: Buffer, main: Buffer = database.subarray(0, pageBytes)): string {
    const path = join(scratchDir('sqlite'), 'state.db')
    writeFileSync(path, main)
    writeFileSync(`${path}-wal`, log)
    return path
  }

  it('reads numbers and values as they are written', () => {
    expect(readVarint(Buffer.from([0x7f]), 0)).to.deep.equal({end: 1, value: 127})
    expect(readVarint(Buffer.from([0x81, 0x00]), 0)).to.deep.equal({end: 2, value: 128})
    expect(readVarint(Buffer.from('00ff7f', 'hex'), 1)).to.deep.equal({end: 3, value: 16_383})
    expect(readVarint(Buffer.from('808080808080808001', 'hex'), 0)).to.deep.equal({end: 9, value: 1})
    // NULL, 1 byte, 2, 3, 4, 6 and 8 bytes, 0, 1, a BLOB of two bytes, a text of three.
    const header = Buffer.from([0, 1, 2, 3, 4, 5, 6, 8, 9, 16, 19])
    const body = Buffer.from('ff0102fffffe7fffffff0000000000058000000000000000cafe', 'hex')
    const record = Buffer.concat([Buffer.from([header.length + 1]), header, body, Buffer.from('abc')])
    expect(decodeRecord(record)).to.deep.equal([
      null,
      -1n,
      258n,
      -2n,
      2_147_483_647n,
      5n,
      -(2n ** 63n),
      0n,
      1n,
      Buffer.from('cafe', 'hex'),
      'abc',
    ])
    for (const bad of ['', '05', '020a', '021000', '80', '0281']) {
      expect(() => decodeRecord(Buffer.from(bad, 'hex')), bad).to.throw(KlosetOciError)
    }
  })

  it('takes pages from the log, of either byte order, the last commit of each', async () => {
    for (const bigEndian of [false, true]) {
      const twice = [...all.map((frame) => ({...frame, bytes: Buffer.alloc(pageBytes, 1)})), ...all]
      expect(await rowsOf(beside(logOf(twice, {bigEndian, pageBytes})))).to.deep.equal(golden)
    }
  })

  it('leaves out what was not committed, is of an earlier log, is damaged or cut off', async () => {
    const junk = all.map((frame) => ({...frame, bytes: Buffer.alloc(pageBytes, 1)}))
    const open = junk.map((frame) => ({...frame, commit: 0}))
    expect(await rowsOf(beside(logOf([...all, ...open], {pageBytes})))).to.deep.equal(golden)

    const whole = logOf(all, {pageBytes})
    const earlier = logOf([...all, ...junk], {pageBytes, salt: 99}).subarray(whole.length)
    expect(await rowsOf(beside(Buffer.concat([whole, earlier])))).to.deep.equal(golden)

    const more = logOf([...all, ...junk], {pageBytes})
    expect(await rowsOf(beside(flipBit(more, 8 * (whole.length + 30))))).to.deep.equal(golden)
    expect(await rowsOf(beside(more.subarray(0, -1)))).to.deep.equal(golden)
    for (const none of [
      Buffer.alloc(0),
      Buffer.alloc(40),
      logOf(junk, {pageBytes: pageBytes * 2}),
      flipBit(logOf(junk, {pageBytes}), 8 * 25),
    ]) {
      expect(await rowsOf(beside(none, database))).to.deep.equal(golden)
    }
  })

  it('refuses what is damaged with an error of its own, and never reads in circles', async () => {
    const path = join(scratchDir('sqlite'), 'state.db')
    let refused = 0
    for (let at = 0; at < database.length; at += Math.ceil(database.length / 700)) {
      writeFileSync(path, flipBit(database, at * 8 + (at % 8)))
      try {
        await rowsOf(path)
      } catch (error) {
        expect(error, `byte ${at}: ${String(error)}`).to.be.instanceOf(KlosetOciError)
        refused += 1
      }
    }

    for (const bytes of [Buffer.alloc(0), database.subarray(0, 99), database.subarray(0, -1), Buffer.alloc(8192)]) {
      writeFileSync(path, bytes)
      expect((await failureOf(rowsOf(path))).code).to.equal('STORE_FORMAT')
    }

    // An inner page whose hundred children are itself.
    const circle = Buffer.from(database)
    circle.writeUInt8(5, 100)
    circle.writeUInt16BE(100, 103)
    circle.writeUInt32BE(1, 108)
    for (let cell = 0; cell < 100; cell++) circle.writeUInt16BE(400, 112 + cell * 2)
    circle.writeUInt32BE(1, 400)
    writeFileSync(path, circle)
    expect((await failureOf(rowsOf(path))).code).to.equal('STORE_FORMAT')
    expect(refused).to.be.greaterThan(3)
  })

  it('reads what SQLite writes: deep trees, rows over many pages, every page size, a log beside it', async function () {
    const sqlite = needPeer(this, 'sqlite3')
    for (const size of [512, 4096, 65_536]) {
      const folder = scratchDir('sqlite')
      const path = join(folder, 'live.db')
      const copy = join(folder, 'copy.db')
      const sql = [
        `PRAGMA page_size=${size}; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;`,
        'CREATE TABLE small(a TEXT, b BLOB); CREATE TABLE large(a TEXT);',
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000) INSERT INTO small SELECT 'row ' || i, x'0102' FROM n;",
        'PRAGMA wal_checkpoint(TRUNCATE);',
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20) INSERT INTO large SELECT hex(zeroblob(i * 1000)) FROM n;',
        "UPDATE small SET a = 'changed' WHERE rowid = 1500;",
        // As another process finds it: the log has not gone into the database.
        `.system cp '${path}' '${copy}' && cp '${path}-wal' '${copy}-wal'`,
      ]
      execFileSync(sqlite, [path], {input: `${sql.join('\n')}\n`})
      const rows = await rowsOf(copy, ['small', 'large'])
      expect(rows).to.have.length(3020)
      expect([rows[0], rows[1499], rows[2999]]).to.deep.equal([
        'small row 1 0102',
        'small changed 0102',
        'small row 3000 0102',
      ])
      expect(rows.slice(3000).map((row) => row.length)).to.deep.equal(
        Array.from({length: 20}, (_, index) => 'large '.length + (index + 1) * 2000),
      )
      // Without its log it is as it was before.
      const before = join(folder, 'before.db')
      copyFileSync(copy, before)
      expect(await rowsOf(before, ['small', 'large'])).to.have.length(3000)
    }
  })
})
