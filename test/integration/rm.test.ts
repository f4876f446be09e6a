import {expect} from 'chai'
import {randomBytes} from 'node:crypto'

import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'
import {goldenCopy, type GoldenName} from '../helpers/hooks.js'
import {putLock} from '../helpers/locks.js'

const MINUTE = 60_000

interface Document {
  readonly applied: boolean
  readonly error?: {readonly code: string}
  readonly exitCode: number
  readonly objects: {
    failure?: {code: string}
    lock?: {hostname?: string; state: string}
    sharedWith?: string[]
    tag: string
  }[]
  readonly removed: number
}

async function rm(store: string, macs: string[], ...flags: string[]): Promise<Document> {
  const {json, status, stderr} = await cli(['rm', store, 'lock', ...macs, '--json', ...flags])
  expect(stderr).to.equal('')
  expect(json<Document>().exitCode).to.equal(status)
  return json<Document>()
}

describe('rm', () => {
  for (const name of ['plaintext', 'plaintext-uncompressed'] as const satisfies readonly GoldenName[]) {
    it(`keeps a lock of ${name} that has a holder, and takes a stale one`, async () => {
      const store = `oci-layout:${goldenCopy(name)}`
      const [fresh, stale] = [await putLock(store, 3 * MINUTE), await putLock(store, 11 * MINUTE)]
      const plan = await rm(store, [fresh, stale])
      expect(plan.objects.map(({lock}) => lock?.state)).to.deep.equal(['held', 'stale'])
      expect(plan.objects[0]!.lock!.hostname).to.equal('backup-host')
      const refused = await rm(store, [fresh, stale], '--yes')
      expect([refused.exitCode, refused.error?.code]).to.deep.equal([75, 'LOCKED'])
      expect((await cli(['ls', store, 'lock', '--count'])).stdout).to.equal('2\n')
      expect((await rm(store, [stale], '--yes')).removed).to.equal(1)
      expect((await rm(store, [fresh], '--yes', '--force')).removed).to.equal(1)
      expect((await cli(['ls', store, 'lock', '--count'])).stdout).to.equal('0\n')
    })
  }

  it('does not take a lock that it cannot read for a stale one', async () => {
    const store = `oci-layout:${goldenCopy('encrypted')}`
    const mac = randomBytes(32).toString('hex')
    await cli(['put', store, 'lock', mac], {input: 'unreadable'})
    expect((await rm(store, [mac])).objects[0]!.lock).to.deep.equal({state: 'unknown'})
    expect((await rm(store, [mac], '--yes')).exitCode).to.equal(75)
    expect((await rm(store, [mac], '--yes', '--force')).exitCode).to.equal(0)
  })

  it('prints the holder for people, and the command that would remove it', async () => {
    const store = `oci-layout:${goldenCopy('plaintext')}`
    const mac = await putLock(store, 15 * MINUTE)
    const {stdout} = await cli(['rm', store, 'lock', mac])
    expect(stdout).to.match(
      new RegExp(String.raw`^would go {2}locks-${mac} +\d+ B {2}stale: backup-host, renewed 15m 0\ds ago$`, 'm'),
    )
    expect(stdout).to.contain(`kloset-oci rm ${store} lock ${mac} --yes`)
  })

  describe('in a registry', () => {
    let fake: FakeRegistry
    let store: string
    const [one, two] = ['1'.repeat(64), '2'.repeat(64)]

    beforeEach(async () => {
      fake = await FakeRegistry.start({tagDelete: 'off'})
      store = `oci://${fake.host}/a/b`
      const repository = fake.repository('a/b')
      repository.addImage('CONFIG', 'x')
      repository.tags.set(`packfiles-${two}`, repository.addImage(`packfiles-${one}`, 'shared'))
    })

    afterEach(() => fake.stop())

    it('says which tags share a manifest, and leaves it to them', async () => {
      const plan = await cli(['rm', store, 'packfile', one, '--json'])
      expect(plan.json<Document>().objects[0]!.sharedWith).to.deep.equal([`packfiles-${two}`])
      const {status} = await cli(['rm', store, 'packfile', one, '--yes'])
      expect(status).to.equal(0)
      expect([...fake.repository('a/b').tags.keys()]).to.deep.equal(['CONFIG', `packfiles-${two}`])
      expect((await cli(['get', store, 'packfile', two])).stdout).to.equal('shared')
    })

    it('removes an object whose manifest has gone', async () => {
      fake.options = {tagDelete: 'untag'}
      const repository = fake.repository('a/b')
      repository.tags.set(`packfiles-${two}`, `sha256:${'0'.repeat(64)}`)
      const {json, status} = await cli(['rm', store, 'packfile', two, '--yes', '--json'])
      expect(status, JSON.stringify(json())).to.equal(0)
      expect([...repository.tags.keys()]).to.deep.equal(['CONFIG', `packfiles-${one}`])
    })

    it('says when the registry deletes nothing, and goes on with the others', async () => {
      fake.options = {digestDelete: 'off', tagDelete: 'off'}
      const {json, status} = await cli(['rm', store, 'packfile', one, two, '--yes', '--json'])
      expect(status).to.equal(69)
      expect(json<Document>().objects.map(({failure}) => failure?.code)).to.deep.equal(['UNSUPPORTED', 'UNSUPPORTED'])
      expect(fake.repository('a/b').tags.size).to.equal(3)
    })

    it('removes nothing when one of the objects is not there', async () => {
      const {status} = await cli(['rm', store, 'packfile', one, '3'.repeat(64), '--yes'])
      expect(status).to.equal(66)
      expect(fake.repository('a/b').tags.size).to.equal(3)
    })
  })
})
