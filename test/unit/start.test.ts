import {expect} from 'chai'
import {execFileSync, spawnSync} from 'node:child_process'
import {chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

import {cleanEnv} from '../helpers/cli.js'
import {scratchDir} from '../helpers/hooks.js'

const STARTER = fileURLToPath(new URL('../../bin/start.cjs', import.meta.url))

/** As the build does it. */
const LEARN = fileURLToPath(new URL('../../scripts/learn.cjs', import.meta.url))

/** Long ago: what is written now is seen by its time. */
const LONG_AGO = new Date('2001-01-01')

const SCRIPT = `
function add(a, b) { return a + b }
console.log(add(1, 2), process.argv.slice(1).map((word) => word.split('/').at(-1)).join(' '), require('node:path').sep)
exports.loaded = require(__filename) === exports
console.log(exports.loaded, __dirname === require('node:path').dirname(__filename))
`
const PRINTED = '3 program.cjs a b /\ntrue true\n'

function codeIn(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : []
  return names.filter((name) => name.endsWith('.code')).map((name) => join(folder, name))
}

function isOld(code: string): boolean {
  return statSync(code).mtime.getTime() === LONG_AGO.getTime()
}

/** The one compiled form in a folder, as if it were old. */
function aged(folder: string): string {
  const [code, ...more] = codeIn(folder)
  expect(more).to.deep.equal([])
  if (code === undefined) throw new Error(`no compiled form in ${folder}`)
  utimesSync(code, LONG_AGO, LONG_AGO)
  return code
}

describe('the start of a bundled script', () => {
  let dir: string
  let file: string
  let env: Record<string, string>

  beforeEach(() => {
    dir = scratchDir('start')
    file = join(dir, 'program.cjs')
    writeFileSync(file, SCRIPT)
    env = {HOME: join(dir, 'home')}
  })

  const run = (extra: Record<string, string> = {}, starter = STARTER) =>
    execFileSync(process.execPath, [starter, file, 'a', 'b'], {encoding: 'utf8', env: cleanEnv({...env, ...extra})})

  const userFolder = () => join(dir, 'home/.cache/kloset-oci/code')

  it('runs it as Node would, and keeps its compiled form for the next time', () => {
    expect(run()).to.equal(PRINTED)
    const code = aged(userFolder())
    expect(statSync(code).mode % 0o1000).to.equal(0o600)
    expect(run()).to.equal(PRINTED)
    expect(isOld(code), 'taken, not written anew').to.equal(true)
  })

  it('takes what the build left beside it, and then writes nothing', () => {
    expect(run({}, LEARN)).to.equal(PRINTED)
    const code = aged(dir)
    expect(run()).to.equal(PRINTED)
    expect(run({}, LEARN)).to.equal(PRINTED)
    expect(isOld(code)).to.equal(true)
    expect(codeIn(userFolder())).to.deep.equal([])
  })

  it('adds what a new task needs, once that was done', () => {
    const starter = join(dir, 'starter.cjs')
    writeFileSync(
      starter,
      `const [,, file, task] = process.argv; require(${JSON.stringify(STARTER)}).start(file, {task})`,
    )
    const body = 'sum += Math.sqrt(sum);'.repeat(500)
    writeFileSync(
      file,
      `const [task, status] = process.argv.slice(3)
      function large() { let sum = 1; ${body} return sum }
      if (task === 'large') large()
      process.exitCode = Number(status)`,
    )
    const run = (task: string, status: number) => {
      const ended = spawnSync(process.execPath, [starter, file, task, String(status)], {env: cleanEnv(env)})
      expect(ended.status, String(ended.stderr)).to.equal(status)
      return codeIn(userFolder())[0]!
    }

    run('small', 0)
    const small = statSync(aged(userFolder())).size
    expect(isOld(run('large', 1)), 'failed').to.equal(true)
    expect(isOld(run('large', 0)), 'done').to.equal(false)
    expect(statSync(aged(userFolder())).size).to.be.greaterThan(small + body.length / 10)
    for (const task of ['small', 'large']) expect(isOld(run(task, 0)), task).to.equal(true)
    expect(isOld(run('not a word', 0)), 'no task').to.equal(false)
  })

  it('puts the folder where XDG_CACHE_HOME says', () => {
    const cache = join(dir, 'xdg')
    run({XDG_CACHE_HOME: cache})
    expect(codeIn(join(cache, 'kloset-oci/code'))).to.have.length(1)
    expect(codeIn(userFolder())).to.deep.equal([])
  })

  const unfit: Record<string, (code: string) => void> = {
    'has other bytes'(code) {
      const bytes = readFileSync(code)
      bytes.writeUInt8(255 - bytes.readUInt8(bytes.length - 9), bytes.length - 9)
      writeFileSync(code, bytes)
    },
    'is cut short'(code) {
      writeFileSync(code, readFileSync(code).subarray(0, -1))
    },
    'is empty'(code) {
      writeFileSync(code, '')
    },
    'others may write'(code) {
      chmodSync(code, 0o622)
    },
  }
  for (const [what, harm] of Object.entries(unfit)) {
    it(`takes no compiled form that ${what}, and replaces it`, () => {
      run()
      const code = aged(userFolder())
      harm(code)
      utimesSync(code, LONG_AGO, LONG_AGO)
      expect(run()).to.equal(PRINTED)
      expect(isOld(code)).to.equal(false)
    })
  }

  it('takes no compiled form of another script, and keeps three', () => {
    run()
    const first = aged(userFolder())
    for (const [index, change] of ['a - b', 'a * b', 'b - a'].entries()) {
      writeFileSync(file, SCRIPT.replace('a + b', change))
      expect(run()).to.match(new RegExp(`^${[-1, 2, 1][index]} `))
      expect(existsSync(first), change).to.equal(index < 2)
    }

    expect(codeIn(userFolder())).to.have.length(3)
  })

  it('leaves the forms of other programs alone', () => {
    mkdirSync(userFolder(), {recursive: true})
    const other = join(userFolder(), `other-${'0'.repeat(32)}.v1-x64.code`)
    writeFileSync(other, '')
    run()
    expect(existsSync(other)).to.equal(true)
  })

  it('writes nothing where it is told not to, or where it cannot', () => {
    expect(run({NODE_DISABLE_COMPILE_CACHE: '1'})).to.equal(PRINTED)
    expect(codeIn(userFolder())).to.deep.equal([])
    expect(run({HOME: ''})).to.equal(PRINTED)
    expect(run({HOME: file})).to.equal(PRINTED)
    expect(run({XDG_CACHE_HOME: 'relative'})).to.equal(PRINTED)
    expect(readdirSync(dir)).to.deep.equal(['program.cjs'])
  })
})
