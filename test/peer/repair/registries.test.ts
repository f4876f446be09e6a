import {expect} from 'chai'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Repository} from '../../../src/registry/interfaces.js'

import {collectVerify} from '../../../src/checker/verify/index.js'
import {readObjectManifest} from '../../../src/kloset/object-manifest.js'
import {meaningOf} from '../../../src/kloset/resource.js'
import {anonymousCredentials} from '../../../src/registry/auth/credentials.js'
import {openRepository} from '../../../src/registry/open.js'
import {applyRepair, encodePlan, openSource, planRepair, readPlan, undoRepair} from '../../../src/repair/index.js'
import {flipBit} from '../../helpers/damage.js'
import {loadGolden} from '../../helpers/golden.js'
import {FIXTURES, scratchDir} from '../../helpers/hooks.js'
import {stopPeers} from '../../helpers/peers.js'
import {filesBelow, startRegistry} from '../../helpers/registries.js'
import {LATER, unlockGolden} from '../../helpers/repair-rig.js'

const MIRROR = `oci-layout:${join(FIXTURES, 'plaintext.oci')}`

async function tagsOf(repository: Repository, resource: 'packfile' | 'state'): Promise<string[]> {
  const tags: string[] = []
  for await (const tag of repository.tags()) {
    const meaning = meaningOf(tag)
    if (meaning.kind === 'object' && meaning.resource === resource) tags.push(tag)
  }

  return tags.sort()
}

/** A tag that is gone, a blob that is gone, a manifest with a wrong size. */
async function damage(repository: Repository): Promise<void> {
  const [first, second] = await tagsOf(repository, 'packfile')
  const [state] = await tagsOf(repository, 'state')
  await repository.manifests.untag(state!)
  const {layer} = readObjectManifest(await repository.manifests.get(first!), first!)
  await repository.blobs.delete(layer)
  const {bytes, mediaType} = await repository.manifests.get(second!)
  const changed = Buffer.from(bytes)
    .toString()
    .replace(/("size":\s*)(\d{5,})/, '$11$2')
  await repository.manifests.push({bytes: Buffer.from(changed), mediaType}, {tag: second!})
}

const open = async (location: string, options = {}) =>
  openRepository(location, {credentials: anonymousCredentials, ...options})

/** Changes a bit of a blob, wherever the registry keeps it. */
function flipInStorage(storage: string, digest: string): void {
  const hex = digest.slice('sha256:'.length)
  const file = filesBelow(storage).find((path) => path.includes(hex) && !path.includes('_layers'))
  const path = join(storage, file!)
  const bytes = readFileSync(path)
  writeFileSync(path, flipBit(bytes, Math.floor(bytes.length / 2) * 8))
}

describe('repair in real registries', function () {
  this.timeout(240_000)

  afterEach(stopPeers)

  for (const kind of ['registry2', 'registry3', 'crane', 'serve'] as const) {
    it(`${kind}: replaces bytes that went bad in its storage`, async function () {
      const {host, storage} = await startRegistry(this, kind)
      const repository = await open(`oci://${host}/org/store`)
      try {
        await loadGolden('plaintext', repository)
        for (const tag of [
          'CONFIG',
          ...(await tagsOf(repository, 'packfile')).slice(0, 1),
          ...(await tagsOf(repository, 'state')).slice(0, 1),
        ]) {
          const {layer} = readObjectManifest(await repository.manifests.get(tag), tag)
          flipInStorage(storage, layer)
        }

        const mirror = await openSource(MIRROR, async (text) => open(text, {readOnly: true}))
        const plan = await planRepair(repository, {clock: LATER, sources: [mirror], unlock: unlockGolden})
        await mirror.close()
        expect(plan.steps.map(({action}) => action.kind)).to.deep.equal(['put-blob', 'put-blob', 'put-blob'])
        const planPath = join(scratchDir('plan'), 'plan.json')
        writeFileSync(planPath, encodePlan(plan))
        const options = {clock: LATER, lock: true, openRepository: open, planPath, unlock: unlockGolden}
        const applied = await applyRepair(await readPlan(planPath), options)
        expect(applied.failed, JSON.stringify(applied.steps)).to.equal(0)
        const {findings, summary} = await collectVerify(repository, {clock: LATER, tier: 'data'})
        expect(summary.verdict, JSON.stringify(findings)).to.equal('clean')
      } finally {
        await repository.close()
      }
    })

    it(`${kind}: brings back a tag, a blob and a size from a mirror, and takes it back`, async function () {
      const {host} = await startRegistry(this, kind)
      const location = `oci://${host}/org/store`
      const repository = await open(location)
      try {
        await loadGolden('plaintext', repository)
        await damage(repository)
        const mirror = await openSource(MIRROR, async (text) => open(text, {readOnly: true}))
        const plan = await planRepair(repository, {clock: LATER, sources: [mirror], unlock: unlockGolden})
        await mirror.close()
        expect(plan.unfixable).to.deep.equal([])
        expect(plan.steps).to.have.length.greaterThan(2)
        const planPath = join(scratchDir('plan'), 'plan.json')
        writeFileSync(planPath, encodePlan(plan))
        const options = {clock: LATER, lock: true, openRepository: open, planPath, unlock: unlockGolden}
        const applied = await applyRepair(await readPlan(planPath), options)
        expect(applied.failed, JSON.stringify(applied.steps)).to.equal(0)
        const {findings, summary} = await collectVerify(repository, {clock: LATER, tier: 'data'})
        expect(summary.verdict, JSON.stringify(findings)).to.equal('clean')
        const undone = await undoRepair(await readPlan(planPath), options)
        expect(undone.failed, JSON.stringify(undone.steps)).to.equal(0)
        const again = await applyRepair(await readPlan(planPath), options)
        expect(again.failed, JSON.stringify(again.steps)).to.equal(0)
        expect((await collectVerify(repository, {clock: LATER, tier: 'data'})).summary.verdict).to.equal('clean')
      } finally {
        await repository.close()
      }
    })
  }
})
