import {expect} from 'chai'
import {PassThrough} from 'node:stream'

import type {Clock} from '../../../src/util/clock.js'

import {createProgress} from '../../../src/cli/progress.js'

function pipe() {
  const stream = new PassThrough() as NodeJS.WriteStream & PassThrough
  const text = () => (stream.read() as Buffer | null)?.toString() ?? ''
  return {stream, text}
}

function manualClock() {
  let now = 0
  const clock: Clock = {now: () => now, async sleep() {}}
  return {
    clock,
    pass(milliseconds: number) {
      now += milliseconds
    },
  }
}

describe('progress', () => {
  it('is silent where no terminal watches', async () => {
    const {stream, text} = pipe()
    const progress = await createProgress({enabled: true, stream})
    progress.update('one')
    progress.stop()
    expect(text()).to.equal('')
  })

  it('prints a plain line an interval when asked, the latest one', async () => {
    const {stream, text} = pipe()
    const {clock, pass} = manualClock()
    const progress = await createProgress({clock, enabled: true, interval: 10, stream})
    let asked = 0
    for (let second = 1; second <= 25; second++) {
      pass(1000)
      progress.update(() => {
        asked += 1
        return `at ${second}`
      })
    }

    expect(text()).to.equal('at 10\nat 20\n')
    expect(asked, 'only for what is shown').to.equal(2)
  })

  it('is silent when switched off, whoever watches', async () => {
    const {stream, text} = pipe()
    stream.isTTY = true
    const {clock, pass} = manualClock()
    const progress = await createProgress({clock, enabled: false, interval: 1, stream})
    pass(60_000)
    progress.update('one')
    expect(text()).to.equal('')
  })

  it('draws nothing on a terminal that has no columns', async () => {
    const {stream, text} = pipe()
    Object.assign(stream, {columns: 0, isTTY: true})
    const before = process.env['CI']
    delete process.env['CI']
    try {
      const progress = await createProgress({enabled: true, stream})
      progress.update('one')
      progress.stop()
    } finally {
      if (before !== undefined) process.env['CI'] = before
    }

    expect(text()).to.equal('')
  })

  it('shows no spinner in a build job, though it has a terminal', async () => {
    const {stream, text} = pipe()
    Object.assign(stream, {columns: 80, isTTY: true})
    const before = process.env['CI']
    process.env['CI'] = 'true'
    try {
      const progress = await createProgress({enabled: true, stream})
      progress.update('one')
      progress.stop()
      expect(text()).to.equal('')
    } finally {
      if (before === undefined) delete process.env['CI']
      else process.env['CI'] = before
    }
  })

  for (const signal of ['SIGUSR1', 'SIGINFO'] as const) {
    it(`tells how far it is when ${signal} asks, also when it is switched off, and nothing once it has stopped`, async () => {
      const {stream, text} = pipe()
      const progress = await createProgress({enabled: false, stream})
      process.emit(signal)
      expect(text()).to.equal('starting\n')
      progress.update('one')
      progress.update(() => 'two')
      process.emit(signal)
      expect(text()).to.equal('two\n')
      progress.stop()
      process.emit(signal)
      expect(text()).to.equal('')
    })
  }

  it('answers such a signal once, for the latest', async () => {
    const first = pipe()
    const second = pipe()
    const earlier = await createProgress({enabled: true, stream: first.stream})
    const later = await createProgress({enabled: true, stream: second.stream})
    earlier.stop()
    later.update('one')
    process.emit('SIGUSR1')
    expect(first.text()).to.equal('')
    expect(second.text()).to.equal('one\n')
    later.stop()
  })
})
