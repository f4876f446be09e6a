import {expect} from 'chai'

import {exitCodeOf} from '../../../../src/checker/summary.js'
import {isSelected, parseNames, parsePart} from '../../../../src/checker/verify/selection.js'
import {collectVerify} from '../../../../src/checker/verify/verify.js'
import {type Mac} from '../../../../src/kloset/mac.js'
import {failureOf} from '../../../helpers/failure.js'
import {goldenInMemory} from '../../../helpers/golden.js'
import {seeded} from '../../../helpers/random.js'
import {NOW, storeWithPackfiles, TEST_CLOCK} from '../../../helpers/test-store.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'

describe('what verify looks at', () => {
  const draw = seeded(77)
  const macs = Array.from({length: 4000}, () => draw.bytes(32).toString('hex') as Mac)

  it('divides packfiles evenly into any number of parts, each in one', () => {
    for (const count of [1, 7, 256, 1000]) {
      const sizes = Array.from({length: count}, () => 0)
      for (const mac of macs) {
        const parts = sizes.map((_, at) => at + 1).filter((index) => isSelected({subset: {count, index}}, mac))
        expect(parts).to.have.length(1)
        sizes[parts[0]! - 1]! += 1
      }

      const mean = macs.length / count
      expect(Math.max(...sizes), `${count} parts`).to.be.lessThan(mean + 6 * Math.sqrt(mean) + 1)
    }
  })

  it('divides shards and subsets by different digits, so that both can be had at once', () => {
    const both = macs.filter((mac) => isSelected({shard: {count: 2, index: 1}, subset: {count: 2, index: 1}}, mac))
    expect(both.length).to.be.within(macs.length / 4 - 200, macs.length / 4 + 200)
  })

  it('takes parts and names as they are meant, and nothing else', () => {
    expect(parsePart('3/16', '--shard')).to.deep.equal({count: 16, index: 3})
    for (const bad of ['0/3', '4/3', '1', '1/0', '-1/2', '1/2/3', '1.5/2', '']) {
      expect(() => parsePart(bad, '--shard'), bad).to.throw('--shard')
    }

    const names = parseNames(`# a list\n${macs[0]}\n\npackfiles-${macs[1]}  # a tag\nstate-${macs[2]}\n`)
    expect([...names]).to.deep.equal([macs[0], macs[1]])
    expect(() => parseNames('hello\n')).to.throw('line 1')
  })

  it('looks at what a snapshot needs, at what is named, and at what was written since', async () => {
    const {objects} = await unlockedGolden('plaintext')
    const repository = await goldenInMemory('plaintext')
    const states = [...objects.keys()].filter((tag) => tag.startsWith('state-')).map((tag) => tag.slice(6))
    const counts: number[] = []
    for (const id of states) {
      const {summary} = await collectVerify(repository, {snapshots: [id.slice(0, 12)]})
      expect(summary.verdict).to.equal('clean')
      counts.push(4 - summary.skipped.unasked)
    }

    expect(counts.sort()).to.deep.equal([2, 4])
    const packfile = [...objects.keys()].find((tag) => tag.startsWith('packfiles-'))!.slice(10) as Mac
    const {summary} = await collectVerify(repository, {macs: new Set([packfile])})
    expect(summary.skipped.unasked).to.equal(3)
    const named = await failureOf(collectVerify(repository, {macs: new Set([macs[0]!])}))
    expect(named).to.have.property('code', 'NOT_FOUND')
    const snapshot = await failureOf(collectVerify(repository, {snapshots: ['0000']}))
    expect(snapshot).to.have.property('code', 'NOT_FOUND')
    const made = await storeWithPackfiles(3)
    for (const [since, unasked] of [
      [NOW - 1, 0],
      [NOW + 1, 3],
    ] as const) {
      const since_ = await collectVerify(made.repository, {clock: TEST_CLOCK, since})
      expect(since_.summary.skipped.unasked).to.equal(unasked)
    }
  })

  it('ends by 75 when its time is over, and looks at one packfile at least', async () => {
    const {repository} = await storeWithPackfiles(5)
    const {summary} = await collectVerify(repository, {clock: TEST_CLOCK, concurrency: 1, maxDuration: 0})
    expect([summary.left, exitCodeOf(summary)]).to.deep.equal([4, 75])
  })

  it('goes over a budget in bytes by a part of one packfile, however many are under way', async () => {
    const {repository} = await storeWithPackfiles(9)
    const sizes = new Set<number>()
    for await (const tag of repository.tags()) {
      if (!tag.startsWith('packfiles-')) continue
      const {bytes} = await repository.manifests.get(tag)
      sizes.add((JSON.parse(bytes.toString()) as {layers: {size: number}[]}).layers[0]!.size)
    }

    const [size, ...others] = [...sizes]
    expect(others, 'packfiles of one size').to.deep.equal([])
    for (const [maxBytes, begun] of [
      [0, 1],
      [1, 1],
      [size!, 1],
      [size! + 1, 2],
      [4 * size! - 1, 4],
      [9 * size!, 9],
    ] as const) {
      const {summary} = await collectVerify(repository, {clock: TEST_CLOCK, concurrency: 16, maxBytes})
      expect(summary.left, String(maxBytes)).to.equal(9 - begun)
      expect(exitCodeOf(summary), String(maxBytes)).to.equal(begun === 9 ? 0 : 75)
    }
  })
})
