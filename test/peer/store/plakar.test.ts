import type {Context} from 'mocha'

import {expect} from 'chai'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'

import {collectGcCheck} from '../../../src/checker/index.js'
import {anonymousCredentials} from '../../../src/registry/auth/credentials.js'
import {openRepository} from '../../../src/registry/open.js'
import {cli} from '../../helpers/cli.js'
import {scratchDir} from '../../helpers/hooks.js'
import {stopPeers} from '../../helpers/peers.js'
import {findOfficialPlugin, findPlakar, type Plakar, startPlakar} from '../../helpers/plakar.js'
import {filesBelow, startRegistry} from '../../helpers/registries.js'
import {writeTree} from '../../helpers/tree.js'

/** plakar with the official plugin; the test is skipped, with the reason, where one of them is not there. */
async function needPlakar(mocha: Context): Promise<Plakar> {
  const [program, plugin] = [findPlakar(), findOfficialPlugin()]
  if (program && plugin) return startPlakar(program, plugin)
  const missing = program
    ? 'KLOSET_OCI_OFFICIAL_PLUGIN names no package'
    : 'plakar is not on PATH or in KLOSET_OCI_PLAKAR'
  if ((process.env['KLOSET_OCI_REQUIRE_PEERS'] ?? '').split(/[\s,]+/).includes('plakar')) throw new Error(missing)
  process.stderr.write(`skipped: ${missing}\n`)
  return mocha.skip()
}

/** Identifiers in what `plakar ls -uuid` prints, newest first. */
function snapshotsIn(listing: string): string[] {
  return [...listing.matchAll(/\b[\da-f]{64}\b/g)].map(([id]) => id)
}

describe('stores shared with plakar and its official plugin', function () {
  this.timeout(240_000)
  let plakar: Plakar | undefined
  let source: string

  beforeEach(() => {
    source = scratchDir('source')
    writeTree(source)
  })

  afterEach(async () => {
    await plakar?.close()
    plakar = undefined
    await stopPeers()
  })

  /** plakar exits 0 after some failures: only what it lists and restores counts. */
  async function backUpAndRestore(location: string): Promise<void> {
    const backup = await plakar!.run(['at', location, 'backup', source])
    const listing = await plakar!.run(['at', location, 'ls', '-uuid'])
    const [id] = snapshotsIn(listing.stdout)
    expect(id, backup.stderr + listing.stderr).to.be.a('string')
    const checked = await plakar!.run(['at', location, 'check'])
    expect(checked.status, checked.stderr).to.equal(0)
    const target = join(plakar!.home, 'restored')
    const restored = await plakar!.run(['-quiet', 'at', location, 'restore', '-to', target, id!])
    expect(restored.status, restored.stderr).to.equal(0)
    expect(filesBelow(target)).to.deep.equal(filesBelow(source))
    for (const file of filesBelow(source)) {
      expect(readFileSync(join(target, file)).equals(readFileSync(join(source, file))), file).to.equal(true)
    }
  }

  for (const kind of ['registry2', 'registry3'] as const) {
    for (const options of [[], ['--no-compression'], ['--hashing', 'SHA256']]) {
      it(`${kind}: plakar backs up into a store made by create ${options.join(' ')}`, async function () {
        plakar = await needPlakar(this)
        const {host} = await startRegistry(this, kind)
        const location = `oci://${host}/org/store`
        const created = await cli(['create', location, '--plaintext', ...options])
        expect(created.status, created.stderr).to.equal(0)
        await backUpAndRestore(location)

        const repository = await openRepository(location, {credentials: anonymousCredentials, readOnly: true})
        const {findings, summary} = await collectGcCheck(repository, {deep: true})
        await repository.close()
        expect(summary.verdict, JSON.stringify(findings)).to.equal('clean')
        expect(summary.objects.state).to.be.at.least(1)
      })
    }

    it(`${kind}: a store made by plakar takes our objects and gives them back`, async function () {
      plakar = await needPlakar(this)
      const {host} = await startRegistry(this, kind)
      const location = `oci://${host}/org/store`
      await plakar.run(['at', location, 'create', '-plaintext'])
      const again = await cli(['create', location, '--plaintext'])
      expect(again.status).to.equal(73)
      await backUpAndRestore(location)

      // Every object goes through a file and into a second store, which plakar must read as its own.
      const copy = `oci://${host}/org/copy`
      const folder = scratchDir('objects')
      const listed = await cli(['ls', location, '--json'])
      const {objects} = listed.json<{objects: {mac?: string; resource: string}[]}>()
      expect(objects.map(({resource}) => resource)).to.include.members(['config', 'packfile', 'state'])
      const repository = await openRepository(copy, {credentials: anonymousCredentials})
      await repository.close()
      // The configuration first: objects go into a store, and that is what makes one.
      for (const {mac, resource} of objects.toSorted((a, b) => a.resource.localeCompare(b.resource))) {
        const file = join(folder, mac ?? 'CONFIG')
        const got = await cli(['get', location, resource, ...(mac ? [mac] : []), '-o', file])
        expect(got.status, got.stderr).to.equal(0)
        const put = await cli(['put', copy, resource, ...(mac ? [mac] : []), file])
        expect(put.status, put.stderr).to.equal(0)
      }

      const other = await startPlakar(findPlakar()!, findOfficialPlugin())
      try {
        const [first, second] = [
          await plakar.run(['at', location, 'ls', '-uuid']),
          await other.run(['at', copy, 'ls', '-uuid']),
        ]
        expect(snapshotsIn(second.stdout)).to.deep.equal(snapshotsIn(first.stdout))
        const checked = await other.run(['at', copy, 'check'])
        expect(checked.status, checked.stderr).to.equal(0)
        expect(checked.stdout + checked.stderr).to.match(/check completed without errors/)
      } finally {
        await other.close()
      }
    })
  }
})
