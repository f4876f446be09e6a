import {expect} from 'chai'
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdirSync, utimesSync, writeFileSync} from 'node:fs'
import {hostname} from 'node:os'
import {join} from 'node:path'

import type {Clock} from '../../src/util/clock.js'

import {openLayout} from '../../src/registry/layout/open-layout.js'
import {scratchDir} from '../helpers/hooks.js'
import {listed, pushObject, rejects} from '../helpers/registry-objects.js'

const WRITER = new URL('../helpers/processes/layout-writer.ts', import.meta.url).pathname

function startWriter(...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--import=tsx', WRITER, ...args], {stdio: ['ignore', 'pipe', 'inherit']})
}

async function newLayout(): Promise<string> {
  const dir = join(scratchDir('processes'), 'store')
  await (await openLayout(dir, {create: true, durable: false})).close()
  return dir
}

/** A clock that passes time only when somebody sleeps. */
function fakeClock(): Clock & {readonly slept: () => number} {
  const start = Date.now()
  let slept = 0
  return {
    now: () => start + slept,
    async sleep(milliseconds) {
      slept += milliseconds
    },
    slept: () => slept,
  }
}

describe('image layout between processes', () => {
  it('loses no change of several writers at once', async () => {
    const dir = await newLayout()
    const layout = await openLayout(dir, {durable: false})
    const writers = ['one', 'two', 'three'].map((prefix) => startWriter(dir, prefix, '60'))
    const ends = writers.map(async (writer) => once(writer, 'exit'))
    for (let index = 0; index < 60; index++) await pushObject(layout, `zero-${index}`)
    for (const [code] of await Promise.all(ends)) expect(code).to.equal(0)
    const expected: string[] = []
    for (let index = 0; index < 60; index++) {
      expected.push(`zero-${index}`)
      if (index % 3 !== 1) for (const prefix of ['one', 'two', 'three']) expected.push(`${prefix}-${index}`)
    }

    expect(await listed(layout.tags())).to.deep.equal(expected.sort())
    for (const tag of expected) expect((await layout.manifests.get(tag)).bytes).to.have.length.above(0)
    expect(await listed(layout.manifestDigests())).to.have.length(expected.length)
    await layout.close()
    expect(existsSync(join(dir, '.kloset-oci', 'lock'))).to.equal(false)
  })

  it('waits for another writer and says who it is when that takes too long', async () => {
    const dir = await newLayout()
    const holder = startWriter(dir, 'holder', '0')
    const ended = once(holder, 'exit')
    await once(holder.stdout!, 'data')
    try {
      const clock = fakeClock()
      const layout = await openLayout(dir, {clock, durable: false, lockWaitMs: 5000})
      const error = await rejects(pushObject(layout, 'a'), 'LOCKED')
      expect(error.facts).to.include({host: hostname(), pid: holder.pid})
      expect(error.message).to.contain(String(holder.pid))
      expect(error.suggestions).to.have.length(1)
      expect(clock.slept()).to.be.within(5000, 5200)
      expect(await listed(layout.tags())).to.deep.equal([])
      const waiting = new AbortController()
      const pending = pushObject(await openLayout(dir, {durable: false}), 'b', 'b')
      const aborted = (await openLayout(dir, {durable: false})).manifests.untag('x', {signal: waiting.signal})
      waiting.abort(new Error('enough'))
      await rejects(aborted, 'INTERRUPTED')
      holder.kill('SIGKILL')
      await ended
      await pending
      expect(await listed(layout.tags())).to.deep.equal(['b'])
    } finally {
      holder.kill('SIGKILL')
    }
  })

  it('takes over the lock that a dead process left', async () => {
    const dir = await newLayout()
    const lock = join(dir, '.kloset-oci', 'lock')
    mkdirSync(lock, {recursive: true})
    writeFileSync(join(dir, '.kloset-oci', 'lock-holder.json'), 'torn')
    const minuteAgo = new Date(Date.now() - 60_000)
    utimesSync(lock, minuteAgo, minuteAgo)
    const layout = await openLayout(dir, {durable: false, lockWaitMs: 0})
    await pushObject(layout, 'a')
    expect(await listed(layout.tags())).to.deep.equal(['a'])
    await layout.close()
  })
})
