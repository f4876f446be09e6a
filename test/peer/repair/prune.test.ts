import {expect} from 'chai'
import {join} from 'node:path'

import {openRepository} from '../../../src/registry/open.js'
import {cli} from '../../helpers/cli.js'
import {FIXTURES, scratchDir} from '../../helpers/hooks.js'
import {putLock} from '../../helpers/locks.js'
import {putOrphan} from '../../helpers/orphans.js'
import {stopPeers} from '../../helpers/peers.js'
import {type RegistryKind, startRegistry} from '../../helpers/registries.js'
import {objectsOf} from '../../helpers/store-shape.js'
import {DAY} from '../../helpers/test-store.js'

async function objectsAt(location: string): Promise<Record<string, string>> {
  const repository = await openRepository(location)
  return objectsOf(repository).finally(async () => repository.close())
}

/** Registries that delete tags, digests only, and digests whose tags stay. */
const KINDS = ['registry3', 'registry2', 'crane'] as const satisfies RegistryKind[]

describe('prune in real registries', function () {
  this.timeout(240_000)

  afterEach(stopPeers)

  for (const kind of KINDS) {
    it(`${kind}: removes what nothing needs, and nothing else; undo puts it back`, async function () {
      const {host} = await startRegistry(this, kind)
      const store = `oci://${host}/org/store`
      const copied = await cli(['copy', `oci-layout:${join(FIXTURES, 'plaintext.oci')}`, store])
      expect(copied.status, copied.stderr).to.equal(0)
      const needed = await objectsAt(store)
      const orphans = await Promise.all(['one', 'two'].map(async (text) => putOrphan(store, text)))
      const stale = `locks-${await putLock(store, 30 * DAY)}`
      const before = await objectsAt(store)
      const plan = join(scratchDir('prune'), 'plan.json')

      const planned = await cli(['prune', store, '-o', plan])
      expect(planned.status, planned.stderr).to.equal(0)
      for (const tag of [...orphans, stale]) expect(planned.stdout).to.contain(tag)
      expect(await objectsAt(store)).to.deep.equal(before)
      const done = await cli(['prune', store, '-o', plan, '--yes'])
      expect(done.status, done.stderr).to.equal(0)
      expect(done.stdout).to.contain('3 objects removed').and.to.contain('repair undo')
      expect(await objectsAt(store)).to.deep.equal(needed)
      expect((await cli(['verify', store, '--tier', 'data'])).status).to.equal(0)
      expect((await cli(['prune', store])).stdout).to.contain('nothing to prune')

      const undone = await cli(['repair', 'undo', plan, '--yes'])
      expect(undone.status, undone.stderr).to.equal(0)
      expect(await objectsAt(store)).to.deep.equal(before)
      // What was put back can go again, by the same plan.
      const again = await cli(['repair', 'apply', plan, '--yes'])
      expect(again.status, again.stderr).to.equal(0)
      expect(await objectsAt(store)).to.deep.equal(needed)
    })
  }
})
