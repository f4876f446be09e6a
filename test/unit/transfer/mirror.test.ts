import {expect} from 'chai'
import {appendFileSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Repository} from '../../../src/registry/interfaces.js'

import {tagOf} from '../../../src/kloset/resource.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {MirrorLedger, type MirrorOptions, mirrorStore} from '../../../src/transfer/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'
import {testMac} from '../../helpers/macs.js'
import {contentsOf} from '../../helpers/store-shape.js'
import {colours, NOW, putState, removes, stateTag, storeWithPackfiles, TEST_CLOCK} from '../../helpers/test-store.js'

const newLedger = () => join(scratchDir('ledger'), 'mirror.jsonl')

async function run(path: string, from: Repository, to: Repository, options: MirrorOptions = {}) {
  const ledger = await MirrorLedger.open(path, TEST_CLOCK)
  try {
    const mirror = mirrorStore(from, to, ledger, {clock: TEST_CLOCK, ...options})
    const gone: string[] = []
    for await (const event of mirror) if (event.status === 'gone') gone.push(`${event.reason} ${event.tag}`)
    return {gone, summary: mirror.summary}
  } finally {
    await ledger.close()
  }
}

const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('mirror', () => {
  it('notes every object once, and each run with its end', async () => {
    const {repository} = await storeWithPackfiles(3)
    const [path, target] = [newLedger(), memoryRepository('target')]
    const first = await run(path, repository, target)
    expect(first.summary).to.deep.include({complete: true, exitCode: 0, lastComplete: undefined, run: 1})
    const before = lines(path)
    expect(before.filter(({event}) => event === 'object')).to.have.length(5)
    const second = await run(path, repository, target)
    expect(second.summary).to.deep.include({exitCode: 0, run: 2})
    expect(second.summary.lastComplete).to.include({complete: true, exitCode: 0})
    const after = lines(path)
    expect(after.slice(0, before.length)).to.deep.equal(before)
    expect(after.slice(before.length).map(({event}) => event)).to.deep.equal(['begin', 'end'])
  })

  it('warns each time of what has gone and nothing explains, keeps it, and stops when told', async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(2)
    const [path, target] = [newLedger(), memoryRepository('target')]
    await run(path, repository, target)
    const kept = await contentsOf(target)
    await store.delete('state', testMac(1))
    await store.delete('packfile', packfiles[0]!)
    const gone = [tagOf('packfile', packfiles[0]!), stateTag(1)]
    for (let again = 0; again < 2; again++) {
      const warned = await run(path, repository, target)
      expect(warned.gone).to.deep.equal(gone.map((tag) => `unexplained ${tag}`))
      expect(warned.summary.exitCode).to.equal(65)
    }

    const accepted = await run(path, repository, target, {acceptGone: true})
    expect(accepted.gone).to.deep.equal(gone.map((tag) => `accepted ${tag}`))
    expect(accepted.summary.exitCode).to.equal(0)
    expect(await run(path, repository, target)).to.deep.include({gone: []})
    expect(await contentsOf(target)).to.deep.equal(kept)
  })

  it("knows what plakar's maintenance has deleted, by the states", async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(3)
    const [path, target] = [newLedger(), memoryRepository('target')]
    await run(path, repository, target)
    await putState(store, 2, [colours(packfiles[0]!, NOW), removes(packfiles[1]!)])
    for (const mac of packfiles) await store.delete('packfile', mac)
    const {gone, summary} = await run(path, repository, target)
    expect(new Set(gone)).to.deep.equal(
      new Set([
        `maintenance ${tagOf('packfile', packfiles[0]!)}`,
        `maintenance ${tagOf('packfile', packfiles[1]!)}`,
        `unexplained ${tagOf('packfile', packfiles[2]!)}`,
      ]),
    )
    expect(summary.exitCode).to.equal(65)
  })

  it('tells again of what came back and went again', async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(1)
    const [path, target] = [newLedger(), memoryRepository('target')]
    await run(path, repository, target)
    const manifest = await repository.manifests.get(tagOf('packfile', packfiles[0]!))
    const tag = tagOf('packfile', packfiles[0]!)
    await store.delete('packfile', packfiles[0]!)
    await run(path, repository, target, {acceptGone: true})
    await repository.manifests.push(manifest, {tag})
    expect((await run(path, repository, target)).gone).to.deep.equal([])
    await store.delete('packfile', packfiles[0]!)
    expect((await run(path, repository, target)).gone).to.deep.equal([`unexplained ${tag}`])
  })

  it('refuses the ledger of another mirror, and a second run at the same time', async () => {
    const {repository} = await storeWithPackfiles(1)
    const path = newLedger()
    await run(path, repository, memoryRepository('target'))
    const error = await failureOf(run(path, repository, memoryRepository('elsewhere')))
    expect(error.code).to.equal('INVALID_ARGUMENT')
    const ledger = await MirrorLedger.open(path, TEST_CLOCK)
    expect((await failureOf(MirrorLedger.open(path, TEST_CLOCK))).code).to.equal('LOCKED')
    await ledger.close()
    await run(path, repository, memoryRepository('target'))
  })

  it('reads on behind a line that a crash cut off', async () => {
    const {repository, store} = await storeWithPackfiles(1)
    const [path, target] = [newLedger(), memoryRepository('target')]
    await run(path, repository, target)
    appendFileSync(path, '{"event":"object","tag":"packf')
    await store.put('state', testMac(5), bufferSource(Buffer.from('a state')))
    const {summary} = await run(path, repository, target)
    expect(summary).to.deep.include({exitCode: 0, run: 2, skippedLines: 1})
    await store.delete('state', testMac(5))
    expect((await run(path, repository, target)).gone).to.deep.equal([`unexplained ${stateTag(5)}`])
  })

  it('notes a run that failed, and why', async () => {
    const {repository} = await storeWithPackfiles(1)
    const other = await storeWithPackfiles(1)
    const path = newLedger()
    const target = memoryRepository('target')
    await run(path, repository, target)
    await other.store.putConfig(Buffer.from('no configuration'), {overwrite: true})
    await failureOf(run(newLedger(), other.repository, target))
    const refused = newLedger()
    await target.manifests.untag('CONFIG')
    expect((await failureOf(run(refused, repository, target))).code).to.equal('ALREADY_EXISTS')
    expect(lines(refused).at(-1)).to.include({code: 'ALREADY_EXISTS', complete: false, event: 'end', exitCode: 73})
  })
})
