/* eslint-disable mocha/no-top-level-hooks -- the suite of one registry, called in a describe */
import {expect} from 'chai'

import type {CheckSummary} from '../../../src/checker/summary.js'
import type {RegistryKind, RunningRegistry} from '../../helpers/registries.js'

import {collectGcCheck} from '../../../src/checker/index.js'
import {anonymousCredentials} from '../../../src/registry/auth/credentials.js'
import {openRepository} from '../../../src/registry/open.js'
import {cli} from '../../helpers/cli.js'
import {goldenObjects, loadGolden} from '../../helpers/golden.js'
import {FIXTURES, GOLDEN, GOLDEN_PASSPHRASE, type GoldenName} from '../../helpers/hooks.js'
import {stopPeers} from '../../helpers/peers.js'
import {REGISTRY_KINDS, removeFromStorage, startRegistry} from '../../helpers/registries.js'
import {unlockedGolden} from '../../helpers/unlocked.js'

const repositoryOf = (name: GoldenName) => `golden/${name}`

/** What a check says of the store itself, whatever the backend could see beside it. */
function essence({summary}: {readonly summary: CheckSummary}) {
  const {bytes, findings, objects, verdict} = summary
  return {bytes, errors: findings.error, objects, verdict, warnings: findings.warning}
}

function isEncrypted(name: GoldenName): boolean {
  return name.startsWith('encrypted')
}

async function check(location: string, {deep, name}: {readonly deep: boolean; readonly name: GoldenName}) {
  const repository = await openRepository(location, {credentials: anonymousCredentials, readOnly: true})
  // What is gone from an encrypted store may be known from the inside alone.
  const {secret} = await unlockedGolden(name)
  try {
    return await collectGcCheck(repository, {deep, secret})
  } finally {
    await repository.close()
  }
}

describe('golden stores in real registries', function () {
  this.timeout(240_000)

  for (const kind of REGISTRY_KINDS) describe(kind, () => goldenSuite(kind))
})

function goldenSuite(kind: RegistryKind): void {
  let registry: RunningRegistry

  before(async function () {
    registry = await startRegistry(this, kind)
    for (const name of GOLDEN) {
      const location = `oci://${registry.host}/${repositoryOf(name)}`
      const repository = await openRepository(location, {credentials: anonymousCredentials})
      await loadGolden(name, repository)
      await repository.close()
    }
  })

  after(async () => stopPeers())

  for (const name of GOLDEN) {
    it(`lists and checks ${name} as the layout directory does`, async () => {
      const location = `oci://${registry.host}/${repositoryOf(name)}`
      const layout = `oci-layout:${FIXTURES}${name}.oci`
      for (const deep of [false, true]) {
        const [there, here] = [await check(location, {deep, name}), await check(layout, {deep, name})]
        expect(essence(there)).to.deep.equal(essence(here))
        expect(there.summary.verdict).to.equal('clean')
      }

      const [listed, expected] = [await cli(['ls', location, '--json']), await cli(['ls', layout, '--json'])]
      const sorted = (result: typeof listed) =>
        result
          .json<{objects: {tag: string}[]}>()
          .objects.map(({tag}) => tag)
          .sort()
      expect(listed.status).to.equal(0)
      expect(sorted(listed)).to.deep.equal(sorted(expected))
      expect(sorted(listed)).to.have.lengthOf(goldenObjects(name).length)
    })
  }

  for (const name of GOLDEN) {
    it(`names whatever is taken out of the storage of ${name}`, async () => {
      const location = `oci://${registry.host}/${repositoryOf(name)}`
      const removals = goldenObjects(name).flatMap((object) => partsOf(object).map((part) => ({object, part})))
      for (const {object, part} of removals) {
        const putBack = await removeFromStorage(registry, repositoryOf(name), part)
        try {
          const {findings, summary} = await check(location, {deep: false, name})
          const named = findings.filter(({severity}) => severity === 'error').map((finding) => finding.tag)
          expect(named, JSON.stringify(part)).to.include(object.tag)
          expect(summary.verdict, JSON.stringify(part)).to.equal('damaged')
        } finally {
          await putBack()
        }
      }

      const {summary} = await check(location, {deep: false, name})
      expect(summary.verdict).to.equal('clean')
    })

    it(`ends with status 65 and the name of what has gone from ${name}`, async () => {
      const location = `oci://${registry.host}/${repositoryOf(name)}`
      const victim = goldenObjects(name).find(({tag}) => tag.startsWith('packfiles-'))!
      for (const part of partsOf(victim)) {
        const putBack = await removeFromStorage(registry, repositoryOf(name), part)
        const {status, stdout} = await cli(['gc-check', location], {
          env: {PLAKAR_PASSPHRASE: isEncrypted(name) ? GOLDEN_PASSPHRASE : undefined},
        })
        await putBack()
        expect(status, JSON.stringify(part)).to.equal(65)
        expect(stdout, JSON.stringify(part)).to.include(victim.tag)
      }
    })
  }

  /** crane's registry keeps a manifest under its tag and under its digest: it is the tag's that readers see. */
  function partsOf({layer, manifest, tag}: ReturnType<typeof goldenObjects>[number]) {
    return kind === 'crane' ? [{blob: layer}, {tag}] : [{blob: layer}, {manifest}, {tag}]
  }
}
