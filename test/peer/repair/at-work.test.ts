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
import {MortalProxy, type Steps} from '../../helpers/kill/proxy.js'
import {stopPeers} from '../../helpers/peers.js'
import {needPlakar, type PlakarUser, plakarWithOurs, stopPlakars} from '../../helpers/plakar-rig.js'
import {type RegistryKind, startRegistry} from '../../helpers/registries.js'
import {listed} from '../../helpers/registry-objects.js'

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

async function tagsOf(location: string, prefix: string): Promise<string[]> {
  const repository = await openRepository(location)
  try {
    const tags = await listed(repository.tags())
    return tags.filter((tag) => tag.startsWith(prefix))
  } finally {
    await repository.close()
  }
}

/** Waits until somebody has the store. */
async function untilLocked(location: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) if ((await locksOf(location)) > 0) return
  throw new Error('nobody has locked the store')
}

/** What a proxy goes by that lets requests through until something is so, and then holds all of them back. */
class Gate implements Steps {
  readonly closed: Promise<void>
  open!: () => void
  #asked = false
  #close!: () => void
  readonly #opened: Promise<void>
  #when: (() => Promise<boolean>) | undefined

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#close = resolve
    })
    this.#opened = new Promise((resolve) => {
      this.open = resolve
    })
  }

  closesWhen(when: () => Promise<boolean>): void {
    this.#when = when
  }

  onEnd(): void {}

  async step<T>(request: () => Promise<T>): Promise<T> {
    if (this.#asked || (await this.#when?.())) {
      this.#asked = true
      this.#close()
      await this.#opened
    }

    return request()
  }
}

/**
 * A store with a backup in it, whose state has lost its tag since, and a plan that heals that from a mirror.
 * @param named what the plan calls the store
 */
async function damagedStore(plakar: PlakarUser, location: string, named = location) {
  await plakar.create(location)
  const source = folderOf(2)
  const snapshot = await plakar.backup(location, source)
  const mirror = `oci-layout:${join(scratchDir('mirror'), 'store')}`
  expect((await cli(['copy', location, mirror])).status).to.equal(0)
  const repository = await openRepository(location)
  try {
    for (const tag of await tagsOf(location, 'state-')) await repository.manifests.untag(tag)
  } finally {
    await repository.close()
  }

  const plan = join(scratchDir('plan'), 'plan.json')
  const planned = await cli(['repair', 'plan', named, '--from', mirror, '-o', plan])
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

  for (const kind of ['registry2', 'serve'] as const satisfies RegistryKind[]) {
    it(`${kind}: a backup that begins while a repair is at work is refused, and neither loses anything`, async function () {
      const plakar = await plakarWithOurs(needPlakar(this))
      const {host} = await startRegistry(this, kind)
      const [direct, gate] = [`oci://${host}/org/store`, new Gate()]
      const proxy = await MortalProxy.start(host, gate)
      try {
        const {plan, snapshot, source} = await damagedStore(plakar, direct, `oci://${proxy.host}/org/store`)
        gate.closesWhen(async () => (await tagsOf(direct, 'locks-')).length > 0)
        const applied = cli(['repair', 'apply', plan, '--yes', '--json'])
        await gate.closed
        // The lock is there, and nothing is healed yet.
        expect(await tagsOf(direct, 'state-')).to.deep.equal([])
        const another = folderOf(1)
        const refused = await plakar.run('at', direct, 'backup', another)
        expect(refused.stdout + refused.stderr).to.match(/locked/)
        gate.open()
        const {status, stderr, stdout} = await applied
        expect(status, stderr + stdout).to.equal(0)
        expect(await locksOf(direct)).to.equal(0)

        expect(await plakar.snapshots(direct)).to.deep.equal([snapshot])
        const made = await plakar.backup(direct, another)
        await plakar.check(direct)
        await plakar.restore(direct, snapshot, source)
        await plakar.restore(direct, made, another)
        expect((await cli(['verify', direct, '--tier', 'data'])).status).to.equal(0)
      } finally {
        gate.open()
        await proxy.close()
      }
    })
  }

  it('under an exclusive lock of ours a backup is refused, and works afterwards', async function () {
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
