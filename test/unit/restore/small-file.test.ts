import {expect} from 'chai'
import {readdirSync, readFileSync, statSync} from 'node:fs'
import {join} from 'node:path'

import type {Entry} from '../../../src/kloset/snapshot/index.js'

import {SmallFiles, writeSmallFile} from '../../../src/restore/small-file.js'
import {failureOf} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'

const entry = {
  info: {gid: 0, mode: 0o640, modTime: {nanoseconds: 5000, seconds: 1_000_000}, uid: 0},
} as unknown as Entry
const metadata = {owner: false, permissions: true}

describe('small files', () => {
  it('are written at once on a fast disk; some are not, where they take long', async () => {
    let time = 0
    const files = new SmallFiles({now: () => time})
    const write = async (milliseconds: number) =>
      files.run(() => {
        time += milliseconds
      })
    expect(files.takes(256 * 1024 + 1)).to.equal(false)
    // Once in a while the system halts a process.
    for (let number = 0; number < 1000; number++) {
      expect(files.takes(100), String(number)).to.equal(true)
      await write(number % 50 === 0 ? 15 : 0.1)
    }

    let slow = 0
    while (files.takes(100)) {
      await write(9)
      slow += 1
    }

    expect(slow).to.be.within(2, 5)
    let beside = 1
    while (!files.takes(100)) beside += 1
    expect(beside).to.equal(200)
  })

  it('let others have their turn', async () => {
    let time = 0
    let turns = 0
    const files = new SmallFiles({now: () => time})
    let timer: NodeJS.Immediate
    const next = () => {
      turns += 1
      timer = setImmediate(next)
    }

    timer = setImmediate(next)
    for (let number = 0; number < 100; number++) {
      await files.run(() => {
        time += 1
      })
    }

    clearImmediate(timer)
    expect(turns).to.be.greaterThan(10)
  })

  it('end with the signal, and with what the work throws', async () => {
    const controller = new AbortController()
    let time = 0
    const files = new SmallFiles({now: () => ++time * 10, signal: controller.signal})
    expect(await files.run(() => 'done')).to.equal('done')
    controller.abort()
    expect((await failureOf(files.run(() => 'never'))).code).to.equal('INTERRUPTED')
  })

  it('have holes for zeros, and leave nothing behind when they fail', () => {
    const dir = scratchDir('small')
    const zeros = Buffer.alloc(96 * 1024)
    for (const [name, parts] of [
      ['holes', [zeros, Buffer.from('middle'), zeros]],
      ['end', [Buffer.from('x'), zeros]],
      ['empty', []],
    ] as const) {
      const content = Buffer.concat(parts)
      writeSmallFile(join(dir, name), content, entry, metadata)
      expect(readFileSync(join(dir, name)).equals(content), name).to.equal(true)
      expect(statSync(join(dir, name)).mode % 0o1_0000).to.equal(0o640)
      expect(statSync(join(dir, name)).mtimeMs).to.be.closeTo(1_000_000_000.005, 0.001)
    }

    expect(statSync(join(dir, 'holes')).blocks * 512).to.be.lessThan(150 * 1024)
    expect(() => writeSmallFile(join(dir, 'end'), Buffer.of(1), entry, metadata), 'over another').to.throw('EEXIST')
    const wrong = {...entry, info: {...entry.info, gid: -5}} as unknown as Entry
    expect(() => writeSmallFile(join(dir, 'new'), Buffer.of(1), wrong, {...metadata, owner: true})).to.throw()
    expect(readdirSync(dir).sort()).to.deep.equal(['empty', 'end', 'holes'])
  })
})
