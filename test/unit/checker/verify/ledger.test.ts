import {expect} from 'chai'
import {appendFileSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Mac} from '../../../../src/kloset/mac.js'

import {exitCodeOf} from '../../../../src/checker/summary.js'
import {AppendedFile} from '../../../../src/checker/verify/ledger-file.js'
import {Ledger, type LedgerFile, type LedgerRecord} from '../../../../src/checker/verify/ledger.js'
import {type VerifyOptions} from '../../../../src/checker/verify/options.js'
import {collectVerify} from '../../../../src/checker/verify/verify.js'
import {tagOf} from '../../../../src/kloset/resource.js'
import {type Repository} from '../../../../src/registry/interfaces.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {flipBit} from '../../../helpers/damage.js'
import {failureOf} from '../../../helpers/failure.js'
import {Replaceable} from '../../../helpers/golden-verify.js'
import {goldenObjects} from '../../../helpers/golden.js'
import {scratchDir} from '../../../helpers/hooks.js'
import {spyRepository} from '../../../helpers/spy-repository.js'
import {
  colours,
  DAY,
  knows,
  NOW,
  packfileOf,
  putState,
  removes,
  stateTag,
  storeWithPackfiles,
} from '../../../helpers/test-store.js'

const clockAt = (now: number) => ({now: () => now, async sleep() {}})

/** Runs a verification as a nightly job does: the ledger is read from its file each time. */
async function nightly(repository: Repository, path: string, options: VerifyOptions = {}) {
  const ledger = await Ledger.open(await AppendedFile.open(path, {create: true}))
  try {
    const {findings, summary} = await collectVerify(repository, {clock: clockAt(NOW), ...options, ledger})
    const errors = findings.filter(({severity}) => severity === 'error').map(({kind, tag}) => [kind, tag])
    return {errors, exitCode: exitCodeOf(summary), summary}
  } finally {
    await ledger.close()
  }
}

const packfilesOf = () => goldenObjects('plaintext').filter(({tag}) => tag.startsWith('packfiles-'))

function record(tag: string): LedgerRecord {
  return {at: new Date(NOW).toISOString(), result: 'good', tag, tier: 'mac'}
}

describe('the ledger of verify', () => {
  let path: string

  beforeEach(() => {
    path = join(scratchDir('ledger'), 'main.ledger')
  })

  it('covers a store over several nights, and tells by 75 while some is left', async () => {
    const {repository} = await Replaceable.golden('plaintext')
    const codes: number[] = []
    const left: number[] = []
    for (let night = 0; night < 4; night++) {
      const clock = clockAt(NOW + night * DAY)
      const {exitCode, summary} = await nightly(repository, path, {clock, concurrency: 1, maxBytes: 1})
      codes.push(exitCode)
      left.push(summary.left)
    }

    expect(codes.at(-1)).to.equal(0)
    expect(codes.slice(0, -1)).to.include(75)
    expect([...left].sort((a, b) => b - a)).to.deep.equal(left)
    const {summary} = await nightly(repository, path)
    expect(summary.ledger).to.include({never: 0, sound: 4, standing: 0})
    expect(summary.skipped.sound).to.equal(4)
  })

  it('looks again at what was looked at too long ago, the longest ago first', async () => {
    const {repository} = await Replaceable.golden('plaintext')
    await nightly(repository, path)
    const soon = await nightly(repository, path, {clock: clockAt(NOW + 29 * DAY), maxAge: 30 * DAY})
    expect(soon.summary.skipped.sound).to.equal(4)
    const later = await nightly(repository, path, {clock: clockAt(NOW + 31 * DAY), maxAge: 30 * DAY})
    expect(later.summary.skipped.sound).to.equal(0)
  })

  it('does not believe a clock that was ahead when it asks what was looked at too long ago', async () => {
    const {repository} = await Replaceable.golden('plaintext')
    const ahead = {clock: clockAt(NOW + 7000 * DAY)}
    await nightly(repository, path, ahead)
    const again = await nightly(repository, path, {maxAge: 30 * DAY})
    expect(again.summary.skipped.sound).to.equal(0)
    expect(again.summary.ledger!.oldest).to.equal(new Date(NOW).toISOString())
    const soon = await nightly(repository, path, {clock: clockAt(NOW - 30 * 60_000), maxAge: 30 * DAY})
    expect(soon.summary.skipped.sound, 'clocks of two machines').to.equal(4)
  })

  it('never ends clean while damage stands, and is satisfied by a look as deep', async () => {
    const store = await Replaceable.golden('plaintext')
    const [first, ...others] = packfilesOf()
    await store.replace(first!.tag, flipBit(first!.bytes, 8 * 5000))
    const found = await nightly(store.repository, path, {tier: 'mac'})
    expect(found.errors).to.deep.equal([['mac-mismatch', first!.tag]])
    const elsewhere = {macs: new Set([others[0]!.tag.slice(10) as Mac]), maxAge: 0}
    const stands = await nightly(store.repository, path, {...elsewhere, tier: 'mac'})
    expect([stands.errors, stands.exitCode]).to.deep.equal([[['standing-damage', first!.tag]], 65])
    await store.restore(first!.tag)
    const shallow = await nightly(store.repository, path, {tier: 'digest'})
    expect([shallow.errors, shallow.exitCode]).to.deep.equal([[['standing-damage', first!.tag]], 65])
    const deep = await nightly(store.repository, path, {tier: 'data'})
    expect([deep.errors, deep.exitCode]).to.deep.equal([[], 0])
    expect((await nightly(store.repository, path, elsewhere)).exitCode).to.equal(0)
  })

  it('looks at what is known to be damaged first, however small the budget', async () => {
    const store = await Replaceable.golden('plaintext')
    const last = packfilesOf().at(-1)!
    await store.replace(last.tag, flipBit(last.bytes, 8 * 5000))
    await nightly(store.repository, path, {tier: 'mac'})
    await store.restore(last.tag)
    const {exitCode, summary} = await nightly(store.repository, path, {maxAge: 0, maxBytes: 1, tier: 'mac'})
    expect(summary.ledger!.standing).to.equal(0)
    expect([0, 75]).to.include(exitCode)
  })

  it('takes it that an object is gone only where states say so', async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(3)
    const tag = tagOf('packfile', packfiles[0]!)
    await repository.manifests.untag(tag)
    expect((await nightly(repository, path)).errors).to.deep.equal([['tag-missing', tag]])
    const stands = await nightly(repository, path, {tier: 'digest'})
    expect([stands.errors, stands.exitCode]).to.deep.equal([[['standing-damage', tag]], 65])
    await putState(store, 2, [removes(packfiles[0]!)])
    expect((await nightly(repository, path)).exitCode).to.equal(0)
    expect((await nightly(repository, path, {tier: 'digest'})).exitCode).to.equal(0)
  })

  it('tells of a state that is gone with all of its packfiles, until it is accepted', async () => {
    const {repository, store} = await storeWithPackfiles(2)
    const own = await packfileOf('of the second snapshot alone')
    await store.put('packfile', own.mac, bufferSource(own.bytes))
    await putState(store, 2, [knows(own.mac)])
    expect((await nightly(repository, path)).errors).to.deep.equal([])
    const gone = [stateTag(2), tagOf('packfile', own.mac)]
    for (const tag of gone) await repository.manifests.untag(tag)
    // The store itself has no trace of it.
    const blind = await collectVerify(repository, {clock: clockAt(NOW)})
    expect(blind.summary.verdict).to.equal('clean')

    for (let night = 0; night < 2; night++) {
      const {errors, exitCode, summary} = await nightly(repository, path)
      expect(errors).to.have.deep.members(gone.map((tag) => ['object-gone', tag]))
      expect([exitCode, summary.ledger!.gone]).to.deep.equal([65, 2])
    }

    // Whether maintenance has deleted a packfile, only the states can say.
    const digest = await nightly(repository, path, {tier: 'digest'})
    expect(digest.errors).to.deep.equal([['object-gone', stateTag(2)]])
    expect(digest.summary.notChecked.join(' ')).to.contain('1 packfiles that the ledger knows')
    expect((await nightly(repository, path, {acceptGone: true})).exitCode).to.equal(0)
    expect((await nightly(repository, path)).exitCode).to.equal(0)
  })

  it('tells of no packfile that maintenance has deleted, and of none that no state had known', async () => {
    const {packfiles, repository, store} = await storeWithPackfiles(3)
    const orphan = await packfileOf('left by a broken backup', {minutesAgo: 60 * 24 * 20})
    await store.put('packfile', orphan.mac, bufferSource(orphan.bytes))
    await nightly(repository, path)
    await putState(store, 2, [removes(packfiles[0]!)])
    await putState(store, 3, [colours(packfiles[1]!, NOW - 30 * DAY)])
    for (const mac of [packfiles[0]!, packfiles[1]!, orphan.mac]) await store.delete('packfile', mac)
    for (let night = 0; night < 2; night++) {
      const {errors, exitCode, summary} = await nightly(repository, path)
      expect([errors, exitCode, summary.ledger!.gone]).to.deep.equal([[], 0, 0])
    }
  })

  it('holds what is gone from the list against the object itself', async () => {
    const {repository} = await storeWithPackfiles(1)
    await nightly(repository, path)
    const short = spyRepository(repository).repository
    short.tags = async function* () {
      for await (const tag of repository.tags()) if (tag !== stateTag(1)) yield tag
    }

    const {errors, exitCode} = await nightly(short, path)
    expect([errors, exitCode]).to.deep.equal([[['list-incomplete', stateTag(1)]], 69])
  })

  it('passes over lines that are not whole, and loses none beside them', async () => {
    const {repository} = await Replaceable.golden('plaintext')
    await nightly(repository, path)
    const whole = readFileSync(path, 'utf8')
    writeFileSync(path, whole.slice(0, -20))
    appendFileSync(path, `\n{"tag":"torn\n${'x'.repeat(100_000)}\n\u0000\u0000\n[1]\n`)
    const {exitCode, summary} = await nightly(repository, path)
    expect(exitCode).to.equal(0)
    expect(summary.ledger!.ignoredLines).to.equal(5)
    expect(summary.skipped.sound).to.be.greaterThan(2)
    expect((await nightly(repository, path)).summary.skipped.sound).to.equal(4)
  })

  it('keeps what two writers add at the same time', async () => {
    const [one, two] = await Promise.all(
      [0, 1].map(async () => Ledger.open(await AppendedFile.open(path, {create: true}))),
    )
    await Promise.all([one!.begin('s'), two!.begin('s')])
    const writes = Array.from({length: 50}, (_, number) => [
      one!.add(record(`a${number}`)),
      two!.add(record(`b${number}`)),
    ])
    await Promise.all(writes.flat())
    await Promise.all([one!.close(), two!.close()])
    const read = await Ledger.open(await AppendedFile.open(path, {create: false}))
    await read.close()
    expect([read.size, read.ignored]).to.deep.equal([100, 0])
  })

  it('is of one store only', async () => {
    const {repository} = await Replaceable.golden('plaintext')
    await nightly(repository, path)
    const other = await Replaceable.golden('plaintext-uncompressed')
    const error = await failureOf(nightly(other.repository, path))
    expect(error).to.have.property('code', 'INVALID_ARGUMENT')
    writeFileSync(path, '{"format":"kloset-oci/ledger/v9"}\n')
    expect(await failureOf(nightly(repository, path))).to.have.property('code', 'INVALID_ARGUMENT')
  })

  it('ends the run when nothing can be written to it', async () => {
    const full: LedgerFile = {
      async append() {
        throw Object.assign(new Error('no space left'), {code: 'ENOSPC'})
      },
      async close() {},
      async *lines() {},
      name: 'ledger',
    }
    const {repository} = await Replaceable.golden('plaintext')
    const error = await failureOf(collectVerify(repository, {ledger: await Ledger.open(full)}))
    expect(error).to.have.property('message', 'no space left')
  })
})
