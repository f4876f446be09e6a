import {expect} from 'chai'

import {gcCheck} from '../../../src/checker/gc-check.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {endlessStore} from '../../helpers/endless-repository.js'

const MANY = 100_000

describe('a store of 100,000 objects', () => {
  it('is checked without being read ahead, and with no more requests at once than allowed', async () => {
    const {counts, repository} = await endlessStore(MANY)
    const run = gcCheck(repository, {concurrency: 8})
    const kinds: string[] = []
    for await (const {kind} of run) kinds.push(kind)
    expect(kinds, 'plakar can list it, and not much more').to.deep.equal(['list-limit'])
    expect(run.summary).to.include({complete: true, verdict: 'clean'})
    expect(run.summary.objects.packfile).to.equal(MANY)
    expect(run.summary.bytes.packfile).to.equal(MANY * 1_000_000)
    // CONFIG, and the state twice: once for its tag, once to be read.
    expect(counts.manifests).to.equal(MANY + 3)
    expect(counts.mostRunning).to.equal(8)
    expect(counts.mostAhead).to.be.lessThan(8 * 5)
    expect(counts.tags).to.equal(2)
  })

  it('is listed and sized the same way', async () => {
    const {counts, repository} = await endlessStore(MANY)
    const store = new KlosetStore(repository, {concurrency: 8})
    let listed = 0
    for await (const mac of store.list('packfile')) if (mac) listed += 1
    expect(listed).to.equal(MANY)
    expect(await store.size()).to.be.greaterThan(MANY * 1_000_000)
    expect(counts.mostRunning).to.equal(8)
  })
})
