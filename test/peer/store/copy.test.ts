import {expect} from 'chai'

import type {Repository} from '../../../src/registry/interfaces.js'

import {openRepository} from '../../../src/registry/open.js'
import {copyStore, diffExitCode, diffStores} from '../../../src/transfer/index.js'
import {goldenCopy, scratchDir} from '../../helpers/hooks.js'
import {findPeer, stopPeers} from '../../helpers/peers.js'
import {findOfficialPlugin, findPlakar, startPlakar} from '../../helpers/plakar.js'
import {PROGRAMS, type RegistryKind, startRegistry} from '../../helpers/registries.js'
import {contentsOf} from '../../helpers/store-shape.js'

async function copy(from: string, to: string): Promise<void> {
  const [source, target] = [await openRepository(from), await openRepository(to, {create: true})]
  try {
    const run = copyStore(source, target)
    for await (const {failure, tag} of run) expect(failure, tag).to.equal(undefined)
    expect(run.summary.complete).to.equal(true)
    const diff = diffStores(source, target, {deep: true})
    for await (const entry of diff) expect.fail(JSON.stringify(entry))
    expect(diffExitCode(diff.summary)).to.equal(0)
  } finally {
    await Promise.all([source.close(), target.close()])
  }
}

async function withRepository<T>(location: string, use: (repository: Repository) => Promise<T>): Promise<T> {
  const repository = await openRepository(location)
  return use(repository).finally(async () => repository.close())
}

describe('copy through real registries', function () {
  this.timeout(180_000)

  afterEach(stopPeers)

  it('passes a store on from one to the next, to a directory in the end, without changing a digest', async function () {
    const kinds: RegistryKind[] = ['registry2', 'registry3', 'crane', 'serve']
    const there = kinds.filter((kind) => kind === 'serve' || findPeer(PROGRAMS[kind as keyof typeof PROGRAMS]))
    const golden = `oci-layout:${goldenCopy('encrypted')}`
    let from = golden
    for (const kind of there) {
      const {host} = await startRegistry(this, kind)
      const to = `oci://${host}/copies/encrypted`
      await copy(from, to)
      // Another repository of the same registry: mounts, where it has them.
      await copy(to, `oci://${host}/copies/again`)
      from = `oci://${host}/copies/again`
    }

    const back = `oci-layout:${scratchDir('back')}/store`
    await copy(from, back)
    expect(await withRepository(back, contentsOf)).to.deep.equal(await withRepository(golden, contentsOf))
  })

  it("makes a store that plakar's own check finds whole", async function () {
    const [program, plugin] = [findPlakar(), findOfficialPlugin()]
    if (!program || !plugin) {
      process.stderr.write('skipped: plakar and its official plugin are not there\n')
      this.skip()
    }

    const {host} = await startRegistry(this, 'registry3')
    const target = `oci://${host}/copies/plaintext`
    await copy(`oci-layout:${goldenCopy('plaintext')}`, target)
    const plakar = await startPlakar(program, plugin)
    try {
      const checked = await plakar.run(['at', target, 'check'])
      expect(checked.status, checked.stderr).to.equal(0)
      expect(checked.stdout + checked.stderr).not.to.match(/failed|KO/)
      expect((await plakar.run(['at', target, 'ls', '-uuid'])).stdout).to.match(/[\da-f]{64}/)
    } finally {
      await plakar.close()
    }
  })
})
