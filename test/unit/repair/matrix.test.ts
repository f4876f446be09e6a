import {expect} from 'chai'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {FIXTURES} from '../../helpers/hooks.js'
import {type Cell, MATRIX, type MatrixRow, runCell} from '../../helpers/repair-matrix.js'
import {type RepairRig} from '../../helpers/repair-rig.js'
import {layOutFs} from '../../helpers/repair-sources.js'

const PAGE = new URL('../../../docs/repair.md', import.meta.url)
const BEGIN = '<!-- the matrix: written by test/unit/repair/matrix.test.ts -->\n'
const END = '\n<!-- end of the matrix -->'

let fs = ''
type Sources = (rig: RepairRig) => readonly string[]
const SOURCES: readonly (readonly [string, Sources])[] = [
  ['no source', () => []],
  ['a mirror', (rig) => [rig.mirror]],
  ["plakar's `fs://` store", () => [fs]],
  ["plakar's cache", () => [`cache:${join(FIXTURES, 'plaintext.cache/state.db')}`]],
]

/** The table of docs/repair.md: every damage of every kind of object, from every kind of source. */
describe('the matrix of damages and sources', function () {
  this.timeout(240_000)
  const cells = new Map<MatrixRow, Cell[]>()

  before(() => {
    fs = layOutFs('plaintext')
  })

  for (const [name, sources] of SOURCES) {
    it(`comes to what it can with ${name}`, async () => {
      for (const row of MATRIX) {
        const known = cells.get(row) ?? []
        cells.set(row, known)
        // The cache has no object's bytes: it changes what becomes of states alone.
        const cell = name === "plakar's cache" && row.object !== 'state' ? known[0]! : await runCell(row, sources)
        known.push(cell)
        const isWhole = name === 'a mirror' || name.includes('fs')
        if (isWhole) expect(['healed', 'nothing to do'], `${row.object}: ${row.damage.name}`).to.include(cell.outcome)
      }
    })
  }

  it('is the table of docs/repair.md', () => {
    const columns = ['object', 'damage', ...SOURCES.map(([name]) => name)]
    const rows = [...cells].map(([{damage, object}, row]) => [object, damage.name, ...row.map(({text}) => text)])
    const table = [columns, columns.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
    const page = readFileSync(PAGE, 'utf8')
    const [head, rest] = page.split(BEGIN)
    const [written, tail] = rest!.split(END)
    if (process.env['KLOSET_OCI_WRITE_MATRIX']) writeFileSync(PAGE, `${head}${BEGIN}\n${table}\n${END}${tail}`)
    else
      expect(plain(written!), 'run: KLOSET_OCI_WRITE_MATRIX=1 npx mocha test/unit/repair/matrix.test.ts').to.equal(
        plain(table),
      )
  })
})

/** A table without the spaces that the formatter sets. */
function plain(table: string): string {
  return table.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---').trim()
}
