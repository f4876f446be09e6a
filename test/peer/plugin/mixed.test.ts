import {expect} from 'chai'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {scratchDir} from '../../helpers/hooks.js'
import {stopPeers} from '../../helpers/peers.js'
import {needOfficialPlugin, needPlakar, plakarWith, plakarWithOurs, stopPlakars} from '../../helpers/plakar-rig.js'
import {startRegistry} from '../../helpers/registries.js'
import {writeTree} from '../../helpers/tree.js'

describe('our plugin and the official one on one store', function () {
  this.timeout(240_000)

  afterEach(async () => {
    await stopPlakars()
    await stopPeers()
  })

  for (const [kind, passphrase] of [
    ['registry2', undefined],
    ['registry3', 'a long passphrase of no consequence'],
  ] as const) {
    it(`${kind}, ${passphrase ? 'encrypted' : 'plaintext'}: each reads and continues what the other wrote`, async function () {
      const program = needPlakar(this)
      const official = needOfficialPlugin(this)
      const {host} = await startRegistry(this, kind)
      const location = `oci://${host}/org/store`
      const [theirs, ours] = [await plakarWith(program, official), await plakarWithOurs(program)]
      theirs.passphrase = passphrase
      ours.passphrase = passphrase
      const source = scratchDir('source')
      writeTree(source)

      await theirs.create(location)
      const first = await theirs.backup(location, source)
      await ours.check(location)
      await ours.restore(location, first, source)

      writeFileSync(join(source, 'new.txt'), 'ours\n')
      const second = await ours.backup(location, source)
      await theirs.check(location)
      await theirs.restore(location, second, source)
      expect(await theirs.snapshots(location)).to.deep.equal([second, first])

      await ours.ok('at', location, 'rm', '-apply', first)
      expect(await theirs.snapshots(location)).to.deep.equal([second])
      await theirs.check(location)
    })
  }
})
