import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {KlosetStore} from '../../../src/kloset/store.js'
import {openRepository} from '../../../src/registry/open.js'
import {storeKeys} from '../../../src/repair/store-keys.js'
import {StoreLock} from '../../../src/repair/store-lock.js'
import {cli} from '../../helpers/cli.js'
import {scratchDir} from '../../helpers/hooks.js'
import {stopPeers} from '../../helpers/peers.js'
import {needPlakar, type PlakarUser, plakarWithOurs, stopPlakars} from '../../helpers/plakar-rig.js'
import {type RegistryKind, startRegistry} from '../../helpers/registries.js'

const MIB = 2 ** 20

/** A folder with so many files of a MiB that nothing compresses. */
function folderOf(files: number): string {
  const folder = scratchDir('source')
  for (let file = 0; file < files; file++) writeFileSync(join(folder, `file-${file}`), randomBytes(MIB))
  return folder
}

async function locksOf(location: string): Promise<number> {
  return (await cli(['locks', 'ls', location, '--json'])).json<{locks: unknown[]}>().locks.length
}

/** Waits until somebody has the store. */
async function untilLocked(location: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) if ((await locksOf(location)) > 0) return
  throw new Error('nobody has locked the store')
}

/** A store with a backup in it, whose state has lost its tag since, and a plan that heals that from a mirror. */
async function damagedStore(plakar: PlakarUser, location: string) {
  await plakar.create(location)
  const source = folderOf(2)
  const snapshot = await plakar.backup(location, source)
  const mirror = `oci-layout:${join(scratchDir('mirror'), 'store')}`
  expect((await cli(['copy', location, mirror])).status).to.equal(0)
  const repository = await openRepository(location)
  try {
    for await (const tag of repository.tags()) if (tag.startsWith('state-')) await repository.manifests.untag(tag)
  } finally {
    await repository.close()
  }

  const plan = join(scratchDir('plan'), 'plan.json')
  const planned = await cli(['repair', 'plan', location, '--from', mirror, '-o', plan])
  expect(planned.status, planned.stderr).to.equal(0)
  return {plan, snapshot, source}
}

describe('a repair and a plakar at work', function () {
  this.timeout(300_000)

  afterEach(async () => {
    await stopPlakars()
    await stopPeers()
  })

  for (const kind of ['registry2', 'serve'] as const satisfies RegistryKind[]) {
    it(`${kind}: during a backup the repair is refused, or waits for its end; plakar then checks clean`, async function () {
      const plakar = await plakarWithOurs(needPlakar(this))
      const {host} = await startRegistry(this, kind)
      const location = `oci://${host}/org/store`
      const {plan, snapshot, source} = await damagedStore(plakar, location)

      const large = folderOf(64)
      const backup = plakar.run('-quiet', 'at', location, 'backup', large)
      await untilLocked(location)
      const refused = await cli(['repair', 'apply', plan, '--yes', '--json'])
      expect([refused.status, refused.json<{error: {code: string}}>().error.code]).to.deep.equal([75, 'LOCKED'])
      const waited = await cli(['repair', 'apply', plan, '--yes', '--lock-wait', '240'])
      expect(waited.status, waited.stderr + waited.stdout).to.equal(0)
      const {status, stderr, stdout} = await backup
      expect(status, stdout + stderr).to.equal(0)
      expect(await locksOf(location)).to.equal(0)

      const snapshots = await plakar.snapshots(location)
      expect(snapshots).to.have.length(2).and.to.include(snapshot)
      await plakar.check(location)
      await plakar.restore(location, snapshot, source)
      await plakar.restore(
        location,
        snapshots.find((id) => id !== snapshot)!,
        large,
      )
      expect((await cli(['verify', location, '--tier', 'data'])).status).to.equal(0)
    })
  }

  it('during a repair a backup is refused, and works afterwards', async function () {
    const plakar = await plakarWithOurs(needPlakar(this))
    const {host} = await startRegistry(this, 'registry2')
    const location = `oci://${host}/org/store`
    await plakar.create(location)
    const source = folderOf(2)
    const repository = await openRepository(location)
    try {
      const configuration = await new KlosetStore(repository).configuration()
      const lock = await StoreLock.take(repository, {keys: await storeKeys(configuration)})
      const refused = await plakar.run('at', location, 'backup', source)
      expect(refused.stdout + refused.stderr).to.match(/locked/)
      expect(await plakar.snapshots(location)).to.deep.equal([])
      await lock.release()
    } finally {
      await repository.close()
    }

    await plakar.backup(location, source)
    await plakar.check(location)
  })
})
