import {expect} from 'chai'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {GOLDEN_PASSPHRASE, goldenCopy, scratchDir} from '../helpers/hooks.js'
import {putLock} from '../helpers/locks.js'

const MINUTE = 60_000

interface Lock {
  readonly action?: string
  readonly ageMs?: number
  readonly blocks?: {backups: boolean; maintenance: boolean}
  readonly hostname?: string
  readonly mac: string
  readonly mode?: string
  readonly state: string
}

interface Document {
  readonly applied?: boolean
  readonly counts?: Record<string, number>
  readonly error?: {readonly code: string; readonly suggestions: string[]}
  readonly exitCode: number
  readonly locks: Lock[]
  readonly skewMs?: number
}

async function locks(command: string, store: string, ...rest: string[]): Promise<Document> {
  const {json, status, stderr} = await cli(['locks', command, store, '--json', ...rest])
  expect(stderr).to.equal('')
  const document = json<Document>()
  expect(document.exitCode).to.equal(status)
  return document
}

describe('locks ls, explain and rm', () => {
  it('lists, explains and removes', async () => {
    const store = `oci-layout:${goldenCopy('plaintext')}`
    const none = await cli(['locks', 'ls', store])
    expect([none.status, none.stdout]).to.deep.equal([0, ''])
    const dead = await putLock(store, 3 * 60 * MINUTE, {hostname: 'killed'})
    const alive = await putLock(store, MINUTE, {exclusive: false, hostname: 'busy\u001B[31m'})
    const {counts, locks: found} = await locks('ls', store)
    expect(counts).to.deep.equal({fresh: 1, stale: 1, unknown: 0})
    expect(found.find(({mac}) => mac === dead)).to.include({hostname: 'killed', mode: 'exclusive', state: 'stale'})
    expect(found.find(({mac}) => mac === alive)).to.include({mode: 'shared', state: 'fresh'})
    const listed = await cli(['locks', 'ls', store])
    expect(listed.stdout).to.match(new RegExp(`stale +exclusive +${dead} +killed: renewed 3h 00m ago`))
    expect(listed.stdout).not.to.contain('\u001B[31m')
    expect(listed.stderr).to.contain(`kloset-oci locks rm ${store}`)

    const explained = await locks('explain', store, alive.slice(0, 16))
    expect(explained.locks.map(({blocks, mac}) => [mac, blocks])).to.deep.equal([
      [alive, {backups: false, maintenance: true}],
    ])
    const words = await cli(['locks', 'explain', store])
    expect(words.stdout).to.contain('blocks backups: no, maintenance: yes')
    expect((await cli(['locks', 'explain', store, '0'.repeat(64)])).status).to.equal(66)

    const plan = await locks('rm', store)
    expect([plan.applied, plan.locks.find(({mac}) => mac === dead)!.action]).to.deep.equal([false, 'planned'])
    const refused = await locks('rm', store, alive, '--yes')
    expect([refused.exitCode, refused.error!.code]).to.deep.equal([75, 'LOCKED'])
    expect(refused.error!.suggestions.join(' ')).to.contain('--break-held-locks')
    const done = await cli(['locks', 'rm', store, '--yes'])
    expect([done.status, done.stdout.trimEnd().split('\n').at(-1)]).to.deep.equal([0, '1 lock removed, 1 kept'])
    expect((await locks('ls', store)).locks.map(({mac}) => mac)).to.deep.equal([alive])
    const gone = await locks('rm', store, dead, '--yes')
    expect([gone.exitCode, gone.locks[0]!.action]).to.deep.equal([0, 'gone'])
    const broken = await locks('rm', store, alive, '--yes', '--break-held-locks')
    expect([broken.exitCode, broken.locks[0]!.action]).to.deep.equal([0, 'removed'])
    expect((await cli(['gc-check', store])).status).to.equal(0)
  })

  it('asks a registry for the time, and believes the clock by which the lock is younger', async () => {
    const fake = await FakeRegistry.start()
    try {
      const store = `oci://${fake.host}/a/b`
      await cli(['create', store, '--plaintext'])
      const mac = await putLock(store, 11 * MINUTE)
      expect((await locks('ls', store)).counts).to.include({stale: 1})
      fake.fail({headers: {date: new Date(Date.now() - 3_600_000).toUTCString()}, path: /v2\/$/, times: 99})
      const {counts, skewMs} = await locks('ls', store)
      expect(counts).to.include({fresh: 1, stale: 0})
      expect(skewMs).to.be.within(-3_605_000, -3_595_000)
      expect((await cli(['locks', 'ls', store])).stderr).to.match(/registry's clock is 1h 00m behind/)
      expect((await locks('rm', store, mac, '--yes')).exitCode).to.equal(75)
      expect(fake.violations).to.deep.equal([])
    } finally {
      await fake.stop()
    }
  })

  it('says what needs the passphrase, and reads it with one', async () => {
    const store = `oci-layout:${goldenCopy('encrypted')}`
    const mac = await putLock(store, 15 * MINUTE, {passphrase: GOLDEN_PASSPHRASE})
    const blind = await locks('ls', store)
    expect(blind.locks[0]).to.include({mac, state: 'unknown'})
    expect(blind.locks[0]).not.to.have.property('ageMs')
    expect((await cli(['locks', 'ls', store])).stdout).to.contain('unknown without the passphrase; written 20')
    expect((await locks('rm', store, mac, '--yes')).exitCode).to.equal(75)
    const file = join(scratchDir('passphrase'), 'it')
    writeFileSync(file, GOLDEN_PASSPHRASE)
    const told = await locks('ls', store, '--passphrase-file', file)
    expect(told.locks[0]).to.include({hostname: 'backup-host', mac, state: 'stale'})
    const done = await locks('rm', store, '--yes', '--passphrase-file', file)
    expect(done.locks[0]!.action).to.equal('removed')
  })
})
