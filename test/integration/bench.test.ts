import {expect} from 'chai'

import {latencyOf} from '../../src/registry/bench.js'
import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {goldenCopy} from '../helpers/hooks.js'

interface Document {
  readonly exitCode: number
  readonly leftovers: string[]
  readonly phases: {
    bytes: number
    failed: number
    latency: {max: number; p50: number}
    operations: number
    phase: string
    requests?: number
  }[]
}

const SMALL = ['--objects', '4', '--size-kib', '16', '--ranges', '10', '--range-kib', '1', '--retries', '0']

const bench = async (store: string, ...flags: string[]) =>
  (await cli(['bench', store, '--json', ...SMALL, ...flags])).json<Document>()

describe('bench', () => {
  let fake: FakeRegistry
  let location: string

  beforeEach(async () => {
    fake = await FakeRegistry.start()
    location = `oci://${fake.host}/a/b`
  })

  afterEach(() => fake.stop())

  it('measures each kind of request, and leaves nothing', async () => {
    const {exitCode, leftovers, phases} = await bench(location)
    expect([exitCode, leftovers]).to.deep.equal([0, []])
    const numbers = phases.map(({bytes, failed, operations, phase}) => [phase, operations, failed, bytes])
    expect(numbers).to.deep.equal([
      ['put', 4, 0, 65_536],
      ['head', 4, 0, 0],
      ['get', 4, 0, 65_536],
      ['range', 10, 0, 10_240],
      ['delete', 4, 0, 0],
    ])
    expect(phases.find(({phase}) => phase === 'range')!.requests).to.equal(10)
    for (const {latency} of phases) expect(latency.p50).to.be.greaterThan(0).and.at.most(latency.max)
    expect([...fake.repository('a/b').tags.keys()]).to.deep.equal([])
    expect(fake.repository('a/b').manifests.size).to.equal(0)
    expect(fake.violations).to.deep.equal([])
  })

  it('touches no object of a store', async () => {
    const store = `oci-layout:${goldenCopy('plaintext')}`
    const before = (await cli(['ls', store, '--long'])).stdout
    const {exitCode, phases} = await bench(store)
    expect([exitCode, phases.length]).to.deep.equal([0, 5])
    expect(phases[0]).not.to.have.property('requests')
    expect((await cli(['ls', store, '--long'])).stdout).to.equal(before)
    const check = await cli(['gc-check', store, '--json'])
    expect(check.json<{findings: unknown[]}>().findings).to.deep.equal([])
  })

  it('says what failed and what it could not remove', async () => {
    fake.options = {digestDelete: 'off', tagDelete: 'off'}
    const {exitCode, leftovers} = await bench(location)
    expect(exitCode).to.equal(75)
    expect(leftovers.sort()).to.deep.equal([...fake.repository('a/b').tags.keys()].sort())
    expect(leftovers).to.have.length(4)
    fake.options = {}
    fake.fail({method: 'HEAD', path: /manifests/, status: 500, times: 1})
    const partly = await bench(location)
    expect(partly.phases.find(({phase}) => phase === 'head')).to.include({failed: 1, operations: 3})
  })

  it('clears up after an interruption', async () => {
    fake.fail({hang: true, path: /manifests\/kloset-oci-bench/, skip: 6, times: 1})
    const {status} = await cli(['bench', location, ...SMALL], {
      onSpawn(child) {
        const look = setInterval(() => {
          if (fake.count('HEAD', /manifests/) < 3 && child.exitCode === null) return
          clearInterval(look)
          child.kill('SIGINT')
        }, 10)
      },
    })
    expect(status).to.equal(130)
    expect([...fake.repository('a/b').tags.keys()]).to.deep.equal([])
  })

  it('counts percentiles by nearest rank', () => {
    const hundred = Array.from({length: 100}, (_, index) => 100 - index)
    expect(latencyOf(hundred)).to.deep.equal({max: 100, p50: 50, p95: 95, p99: 99})
    expect(latencyOf([7])).to.deep.equal({max: 7, p50: 7, p95: 7, p99: 7})
    expect(latencyOf([])).to.deep.equal({max: 0, p50: 0, p95: 0, p99: 0})
  })
})
