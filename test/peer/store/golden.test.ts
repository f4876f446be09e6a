/* eslint-disable mocha/no-top-level-hooks -- the suite of one registry, called in a describe */
import {expect} from 'chai'

import type {CheckSummary} from '../../../src/checker/summary.js'
import type {RegistryKind, RunningRegistry} from '../../helpers/registries.js'

import {collectGcCheck} from '../../../src/checker/index.js'
import {anonymousCredentials} from '../../../src/registry/auth/credentials.js'
import {openRepository} from '../../../src/registry/open.js'
import {cli} from '../../helpers/cli.js'
import {goldenObjects, loadGolden} from '../../helpers/golden.js'
import {FIXTURES, GOLDEN, type GoldenName} from '../../helpers/hooks.js'
import {stopPeers} from '../../helpers/peers.js'
import {REGISTRY_KINDS, removeFromStorage, startRegistry} from '../../helpers/registries.js'

const repositoryOf = (name: GoldenName) => `golden/${name}`

/** What a check says of the store itself, whatever the backend could see beside it. */
function essence({summary}: {readonly summary: CheckSummary}) {
  const {bytes, findings, objects, verdict} = summary
  return {bytes, errors: findings.error, objects, verdict, warnings: findings.warning}
}

async function check(location: string, deep: boolean) {
  const repository = await openRepository(location, {credentials: anonymousCredentials, readOnly: true})
  try {
    return await collectGcCheck(repository, {deep})
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
        const [there, here] = [await check(location, deep), await check(layout, deep)]
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

  it('names whatever is taken out of its storage', async () => {
    const name = 'plaintext'
    const location = `oci://${registry.host}/${repositoryOf(name)}`
    for (const {layer, manifest, tag} of goldenObjects(name)) {
      // crane's registry keeps a manifest under its tag and under its digest: it is the tag's that readers see.
      for (const what of kind === 'crane' ? [{blob: layer}, {tag}] : [{blob: layer}, {manifest}, {tag}]) {
        const putBack = await removeFromStorage(registry, repositoryOf(name), what)
        try {
          const {findings, summary} = await check(location, false)
          const named = findings.filter(({severity}) => severity === 'error').map((finding) => finding.tag)
          expect(named, JSON.stringify(what)).to.include(tag)
          expect(summary.verdict, JSON.stringify(what)).to.equal('damaged')
        } finally {
          await putBack()
        }
      }
    }

    const {summary} = await check(location, false)
    expect(summary.verdict).to.equal('clean')
  })

  it('ends with status 65 and the name of a blob that has gone', async () => {
    const location = `oci://${registry.host}/${repositoryOf('encrypted')}`
    const victim = goldenObjects('encrypted').find(({tag}) => tag.startsWith('packfiles-'))!
    const putBack = await removeFromStorage(registry, repositoryOf('encrypted'), {blob: victim.layer})
    const {status, stdout} = await cli(['gc-check', location])
    await putBack()
    expect(status).to.equal(65)
    expect(stdout).to.include(victim.tag)
  })
}
