import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {scratchDir} from '../helpers/hooks.js'

const MAC = 'ab'.repeat(32)

/** The same commands over both backends. */
const backends: Record<string, () => Promise<{check(): void; close(): Promise<void>; store: string}>> = {
  async directory() {
    return {check() {}, async close() {}, store: `oci-layout:${join(scratchDir('store'), 'store.oci')}`}
  },
  async registry() {
    const fake = await FakeRegistry.start()
    return {
      check: () => expect(fake.violations).to.deep.equal([]),
      close: () => fake.stop(),
      store: `oci://${fake.host}/backups/main`,
    }
  },
}

for (const [name, open] of Object.entries(backends)) {
  describe(`commands over a ${name}`, () => {
    let backend: Awaited<ReturnType<typeof open>>
    let store: string

    before(async () => {
      backend = await open()
      store = backend.store
    })

    after(async () => {
      backend.check()
      await backend.close()
    })

    it('says that there is no store before one is made, in every command that reads or writes one', async () => {
      const commands = [
        ['ls', store],
        ['info', store],
        ['gc-check', store],
        ['get', store, 'config'],
        ['put', store, 'state', MAC],
      ]
      const results = await Promise.all(commands.map(async (args) => cli(args, {input: 'x'})))
      for (const [index, {status, stderr}] of results.entries()) {
        expect(status, `${commands[index]![0]}: ${stderr}`).to.equal(66)
      }
    })

    it('will not make an encrypted store without a passphrase, and writes nothing', async () => {
      const {status, stderr} = await cli(['create', store])
      expect(status).to.equal(64)
      expect(stderr).to.match(/^error: an encrypted store needs a passphrase\n/)
      expect(stderr).to.contain('--plaintext')
      expect((await cli(['ls', store])).status).to.equal(66)
    })

    it('makes a store, once', async () => {
      const made = await cli(['create', store, '--plaintext', '--hashing', 'SHA256', '--no-compression', '--json'])
      expect(made.status, made.stdout).to.equal(0)
      expect(made.json()).to.include({compression: 'none', exitCode: 0, hashing: 'SHA256', store})
      const again = await cli(['create', store, '--plaintext', '--json'])
      expect(again.status).to.equal(73)
      expect(again.json<{error: {code: string}}>().error.code).to.equal('ALREADY_EXISTS')
      const info = await cli(['info', store, '--json'])
      expect(info.json()).to.deep.include({
        counts: {config: 1, foreign: 0, lock: 0, packfile: 0, state: 0},
        hashing: {algorithm: 'SHA256', bits: 256},
        repositoryId: made.json<{repositoryId: string}>().repositoryId,
      })
      expect(info.json()).not.to.have.any.keys('compression', 'encryption')
    })

    const bytes = randomBytes(5_000_001)

    it('stores what a pipe brings, and gives it back whole, in part and into a file', async () => {
      const put = await cli(['put', store, 'packfile', MAC, '-', '--json'], {input: bytes})
      expect(put.status, put.stdout).to.equal(0)
      expect(put.json()).to.include({mac: MAC, resource: 'packfile', size: bytes.length, tag: `packfiles-${MAC}`})
      const whole = await cli(['get', store, 'packfile', MAC])
      expect(bytes.equals(whole.stdoutBytes)).to.equal(true)
      const part = await cli(['get', store, 'packfile', MAC, '--range', '4000000:70000'])
      expect(bytes.subarray(4_000_000, 4_070_000).equals(part.stdoutBytes)).to.equal(true)
      const file = join(scratchDir('out'), 'object')
      const got = await cli(['get', store, 'packfile', 'abab', '-o', file, '--json'])
      expect(got.json()).to.include({file, mac: MAC, size: bytes.length})
      expect(bytes.equals(readFileSync(file))).to.equal(true)
    })

    it('gives a range that reaches beyond the end as far as it goes', async () => {
      const part = await cli(['get', store, 'packfile', MAC, '--range', `${bytes.length - 5}:100`])
      expect(bytes.subarray(-5).equals(part.stdoutBytes)).to.equal(true)
      const beyond = await cli(['get', store, 'packfile', MAC, '--range', `${bytes.length}:1`])
      expect([beyond.status, beyond.stdout]).to.deep.equal([0, ''])
    })

    it('stores the same file again without complaint, and refuses another one', async () => {
      const file = join(scratchDir('in'), 'object')
      writeFileSync(file, bytes)
      expect((await cli(['put', store, 'packfile', MAC, file])).status).to.equal(0)
      writeFileSync(file, 'other')
      expect((await cli(['put', store, 'packfile', MAC, file])).status).to.equal(73)
      const back = await cli(['get', store, 'packfile', MAC, '--range', '0:10'])
      expect(bytes.subarray(0, 10).equals(back.stdoutBytes)).to.equal(true)
    })

    it('replaces an object when told to', async () => {
      const mac = 'cd'.repeat(32)
      expect((await cli(['put', store, 'state', mac], {input: 'one'})).status).to.equal(0)
      expect((await cli(['put', store, 'state', mac, '--overwrite'], {input: 'two'})).status).to.equal(0)
      expect((await cli(['get', store, 'state', mac])).stdout).to.equal('two')
    })

    it('takes the beginning of a MAC to read, and nothing but the whole of it to write', async () => {
      const other = `abab${'0'.repeat(60)}`
      expect((await cli(['put', store, 'packfile', other], {input: 'x'})).status).to.equal(0)
      const ambiguous = await cli(['get', store, 'packfile', 'abab'])
      expect(ambiguous.status).to.equal(64)
      expect(ambiguous.stderr).to.contain(MAC).and.to.contain(other)
      expect((await cli(['get', store, 'packfile', 'abab0'])).stdout).to.equal('x')
      expect((await cli(['get', store, 'packfile', 'ffff'])).status).to.equal(66)
      expect((await cli(['put', store, 'packfile', 'abab0'], {input: 'y'})).status).to.equal(64)
      expect((await cli(['rm', store, 'packfile', 'abab0', '--yes'])).status).to.equal(64)
      expect((await cli(['rm', store, 'packfile', other, '--yes'])).status).to.equal(0)
    })

    it('lists everything, one kind, numbers and sizes', async () => {
      const all = await cli(['ls', store])
      expect(all.stdout.split('\n').sort()).to.deep.equal([
        '',
        'config    CONFIG',
        `packfile  ${MAC}`,
        `state     ${'cd'.repeat(32)}`,
      ])
      expect((await cli(['ls', store, 'packfile'])).stdout).to.equal(`${MAC}\n`)
      expect((await cli(['ls', store, 'lock'])).stdout).to.equal('')
      expect((await cli(['ls', store, 'state', '--count'])).stdout).to.equal('1\n')
      const long = await cli(['ls', store, 'packfile', '--long', '--json'])
      const {objects, size} = long.json<{objects: {size: number; tag: string}[]; size: number}>()
      expect(objects).to.have.length(1)
      expect(objects[0]).to.include({size: bytes.length, tag: `packfiles-${MAC}`})
      expect(size).to.equal(bytes.length)
      const counted = await cli(['ls', store, '--count', '--json'])
      expect(counted.json()).to.deep.include({
        count: 3,
        counts: {config: 1, foreign: 0, lock: 0, packfile: 1, state: 1},
        store,
      })
    })

    it('plans a removal before it removes, and says the command', async () => {
      const plan = await cli(['rm', store, 'packfile', MAC])
      expect(plan.status).to.equal(0)
      expect(plan.stdout).to.contain('nothing was removed')
      expect(plan.stdout).to.contain(`next: kloset-oci rm ${store} packfile ${MAC} --yes`)
      expect((await cli(['ls', store, 'packfile', '--count'])).stdout).to.equal('1\n')
      const done = await cli(['rm', store, 'packfile', MAC, '--yes', '--json'])
      expect(done.json()).to.include({applied: true, failed: 0, removed: 1})
      expect((await cli(['ls', store, 'packfile', '--count'])).stdout).to.equal('0\n')
      expect((await cli(['rm', store, 'packfile', MAC, '--yes'])).status).to.equal(66)
    })

    it('puts a lost configuration back, and refuses what is none', async () => {
      const saved = (await cli(['get', store, 'config'])).stdoutBytes
      expect(saved.toString('latin1', 0, 8)).to.equal('_KLOSET_')
      const refused = await cli(['put', store, 'config', '--overwrite', '--json'], {input: 'rubbish'})
      expect([refused.status, refused.json<{error: {code: string}}>().error.code]).to.deep.equal([65, 'STORE_FORMAT'])
      expect((await cli(['put', store, 'config'], {input: saved})).status).to.equal(0)
      expect((await cli(['put', store, 'config', MAC, 'file'], {input: saved})).status).to.equal(64)
    })

    it('finds the store sound, once what is no object has gone', async () => {
      expect((await cli(['gc-check', store])).status).to.equal(65)
      expect((await cli(['rm', store, 'state', 'cd'.repeat(32), '--yes'])).status).to.equal(0)
      const {status, stdout} = await cli(['gc-check', store])
      expect(status, stdout).to.equal(0)
      expect(stdout).to.match(/^verdict +clean$/m)
    })
  })
}
