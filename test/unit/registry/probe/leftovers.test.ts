import {expect} from 'chai'

import type {Repository} from '../../../../src/registry/interfaces.js'

import {collectGcCheck} from '../../../../src/checker/index.js'
import {benchRepository} from '../../../../src/registry/bench.js'
import {openRepository} from '../../../../src/registry/open.js'
import {openProbe} from '../../../../src/registry/probe/open-probe.js'
import {probeRepository} from '../../../../src/registry/probe/probe.js'
import {trialOf} from '../../../../src/registry/trial-tags.js'
import {type FakeOptions, FakeRegistry} from '../../../helpers/fake-registry.js'
import {Life} from '../../../helpers/kill/life.js'
import {MortalProxy} from '../../../helpers/kill/proxy.js'
import {testMac} from '../../../helpers/macs.js'
import {pushObject} from '../../../helpers/registry-objects.js'

const HOUR = 3_600_000
const NAME = 'a/b'
const NOTHING: FakeOptions = {digestDelete: 'off', tagDelete: 'off'}
const BENCH = {concurrency: 1, objectBytes: 10, objects: 2, rangeBytes: 1, ranges: 0}

describe('what trials of a registry leave', () => {
  let fake: FakeRegistry

  beforeEach(async () => {
    fake = await FakeRegistry.start(NOTHING)
  })

  afterEach(async () => {
    await fake.stop()
    expect(fake.violations).to.deep.equal([])
  })

  const tags = () => [...fake.repository(NAME).tags.keys()].sort()

  async function using<T>(work: (repository: Repository) => Promise<T>): Promise<T> {
    const repository = await openRepository(`oci://${fake.host}/${NAME}`, {retry: {attempts: 1}})
    return work(repository).finally(async () => repository.close())
  }

  /** What doctor says of them, so many hours later by its own clock and by the registry's. */
  async function examine(own: number, registrys: number, {readOnly = false, removeLeftovers = true} = {}) {
    fake.fail({headers: {date: new Date(Date.now() + registrys * HOUR).toUTCString()}, path: /^\/v2\/$/, times: 99})
    const {close, context, repository} = await openProbe(`oci://${fake.host}/${NAME}`, {retry: {attempts: 1}})
    const clock = {now: () => Date.now() + own * HOUR, async sleep() {}}
    try {
      const results = await probeRepository(repository, context, {clock, readOnly, removeLeftovers})
      return results.find(({name}) => name === 'leftovers')!
    } finally {
      fake.forget()
      await close()
    }
  }

  for (const [what, options] of [
    ['removes tags', {tagDelete: 'untag'}],
    ['removes tags with their manifests', {tagDelete: 'cascade'}],
    ['removes digests only', {tagDelete: 'digest-invalid'}],
  ] as const) {
    it(`is removed by a later doctor, where the registry ${what}`, async () => {
      await examine(0, 0)
      const left = tags()
      expect(left.map((tag) => trialOf(tag))).to.deep.equal(left.map(() => 'doctor'))
      expect(left).not.to.deep.equal([])
      fake.options = options
      for (const [own, registrys] of [
        [0.9, 0.9],
        [2, 0],
        [0, 2],
      ] as const) {
        const young = await examine(own, registrys)
        expect([young.status, young.message]).to.deep.equal([
          'ok',
          `${left.join(', ')}: under way, or cut off not long ago: left alone`,
        ])
        expect(tags()).to.deep.equal(left)
      }

      for (const kept of [{readOnly: true}, {removeLeftovers: false}]) {
        const told = await examine(2, 2, kept)
        expect([told.status, told.message]).to.deep.equal(['warn', `earlier trials have left ${left.join(', ')}`])
        expect(tags()).to.deep.equal(left)
      }

      const removed = await examine(2, 2)
      expect(removed).to.deep.include({facts: {failed: 0, found: left.length, removed: left.length}, status: 'ok'})
      expect(tags()).to.deep.equal([])
      expect((await examine(2, 2)).message).to.equal('no tag of an earlier trial is left')
    })
  }

  it('of a bench goes after a day', async () => {
    await using(async (repository) => benchRepository(repository, BENCH))
    const left = tags()
    expect(left.map((tag) => trialOf(tag))).to.deep.equal(['bench', 'bench'])
    fake.options = {tagDelete: 'untag'}
    await examine(23, 23)
    expect(tags()).to.deep.equal(left)
    await examine(25, 25)
    expect(tags()).to.deep.equal([])
  })

  it('of a removal that was killed goes, and nothing of the object that it was about', async () => {
    fake.options = {tagDelete: 'untag'}
    const object = `packfiles-${testMac(1)}`
    await using(async (repository) => pushObject(repository, object))
    for (let at = 1; !tags().some((tag) => trialOf(tag)); at++) {
      expect(at, 'requests of a removal').to.be.lessThan(20)
      const proxy = await MortalProxy.start(fake.host, new Life(at, 'after'))
      const repository = await openRepository(`oci://${proxy.host}/${NAME}`, {retry: {attempts: 1}})
      await repository.manifests.untag(object).catch(() => {})
      await repository.close()
      await proxy.close()
    }

    const {blobs} = fake.repository(NAME)
    const before = [...blobs.keys()]
    expect(tags().map((tag) => trialOf(tag))).to.deep.equal(['deletion', undefined])
    await examine(2, 2)
    expect(tags()).to.deep.equal([object])
    expect([...blobs.keys()]).to.include.members(before)
  })

  it('is not what merely has its name', async () => {
    const [own, other] = ['kloset-oci-doctor-0123456789abcdef', 'kloset-oci-doctor-mine']
    await using(async (repository) => {
      for (const tag of [own, other]) await pushObject(repository, tag)
    })
    fake.options = {tagDelete: 'untag'}
    const {facts, message, status} = await examine(99, 99)
    expect([status, facts['found'], message]).to.deep.equal([
      'ok',
      1,
      `${own}: named like a trial's, and made by none: left alone`,
    ])
    expect(tags()).to.deep.equal([own, other])
  })

  it('is named when it cannot be removed', async () => {
    await examine(0, 0)
    const left = tags()
    const {message, status} = await examine(2, 2)
    expect(status).to.equal('warn')
    for (const tag of left) expect(message).to.contain(tag)
    expect(message).to.match(/^could not remove kloset-oci-doctor-.*: .*delet/i)
  })

  it('is told by gc-check as what it is, apart from what is foreign', async () => {
    await examine(0, 0)
    const left = tags()
    await using(async (repository) => {
      await pushObject(repository, 'CONFIG')
      await pushObject(repository, 'latest')
      const {findings, summary} = await collectGcCheck(repository)
      const told = findings.filter(({severity}) => severity === 'info')
      expect(told.map(({count, kind}) => [kind, count])).to.deep.equal([
        ['trial-tags', left.length],
        ['foreign-tags', 1],
      ])
      for (const tag of left) expect(told[0]!.message).to.contain(tag)
      expect(told[0]!.nextStep).to.match(/^Run `doctor`/)
      expect(summary.objects.foreign).to.equal(left.length + 1)
    })
  })
})
