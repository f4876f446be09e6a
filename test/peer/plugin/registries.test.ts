import {expect} from 'chai'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {collectGcCheck} from '../../../src/checker/index.js'
import {anonymousCredentials} from '../../../src/registry/auth/credentials.js'
import {openRepository} from '../../../src/registry/open.js'
import {scratchDir} from '../../helpers/hooks.js'
import {stopPeers} from '../../helpers/peers.js'
import {needPlakar, type PlakarUser, plakarWithOurs, stopPlakars} from '../../helpers/plakar-rig.js'
import {REGISTRY_KINDS, startRegistry} from '../../helpers/registries.js'
import {writeTree} from '../../helpers/tree.js'

const PASSPHRASE = 'a long passphrase of no consequence'

describe('plakar with our plugin', function () {
  this.timeout(240_000)
  let source: string

  beforeEach(() => {
    source = scratchDir('source')
    writeTree(source)
  })

  afterEach(async () => {
    await stopPlakars()
    await stopPeers()
  })

  /** What a person does with a store in its life. */
  async function live(plakar: PlakarUser, location: string): Promise<void> {
    await plakar.create(location)
    const first = await plakar.backup(location, source)
    const listed = await plakar.ok('at', location, 'ls', `${first}:${source}`)
    expect(listed.stdout).to.contain('random.bin').and.to.contain('unicode-é-名前.txt')
    const cat = await plakar.ok('at', location, 'cat', `${first}:${join(source, 'text7.txt')}`)
    expect(cat.stdout).to.equal(readFileSync(join(source, 'text7.txt'), 'utf8'))
    await plakar.check(location)
    await plakar.restore(location, first, source)

    writeFileSync(join(source, 'text7.txt'), 'changed\n')
    const second = await plakar.backup(location, source)
    await plakar.ok('at', location, 'rm', '-apply', first)
    expect(await plakar.snapshots(location)).to.deep.equal([second])
    // It refuses while a backup's lock is left behind.
    await plakar.ok('at', location, 'maintenance')
    await plakar.check(location)
    await plakar.restore(location, second, source)
    expect(await locksOf(location)).to.equal(0)
  }

  for (const kind of REGISTRY_KINDS) {
    it(`lives a store's life on ${kind}, plaintext, and syncs from and to a file store`, async function () {
      const program = needPlakar(this)
      const {host} = await startRegistry(this, kind)
      const plakar = await plakarWithOurs(program)
      const location = `oci://${host}/org/store`
      await live(plakar, location)

      const files = `fs://${join(plakar.home, 'files')}`
      await plakar.create(files)
      await plakar.ok('-quiet', 'at', files, 'sync', 'from', location)
      expect(await plakar.snapshots(files)).to.deep.equal(await plakar.snapshots(location))
      await plakar.check(files)
      const other = `oci://${host}/org/other`
      await plakar.create(other)
      await plakar.ok('-quiet', 'at', files, 'sync', 'to', other)
      const [snapshot] = await plakar.snapshots(other)
      await plakar.restore(other, snapshot!, source)
    })

    it(`keeps an encrypted store on ${kind}`, async function () {
      const program = needPlakar(this)
      const {host} = await startRegistry(this, kind)
      const plakar = await plakarWithOurs(program)
      plakar.passphrase = PASSPHRASE
      const location = `oci://${host}/org/store`
      await plakar.create(location)
      const snapshot = await plakar.backup(location, source)
      await plakar.check(location)
      await plakar.restore(location, snapshot, source)
      await plakar.ok('at', location, 'maintenance')
      plakar.passphrase = 'another passphrase altogether'
      expect((await plakar.run('at', location, 'ls')).status).not.to.equal(0)
    })
  }
})

async function locksOf(location: string): Promise<number> {
  const repository = await openRepository(location, {credentials: anonymousCredentials, readOnly: true})
  try {
    const {findings, summary} = await collectGcCheck(repository)
    expect(summary.verdict, JSON.stringify(findings)).to.equal('clean')
    return summary.objects.lock
  } finally {
    await repository.close()
  }
}
