import {expect} from 'chai'
import {existsSync, readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import type {blobOf} from '../../../helpers/registry-objects.js'

import {openLayout} from '../../../../src/registry/layout/open-layout.js'
import {GOLDEN, goldenCopy} from '../../../helpers/hooks.js'
import {listed} from '../../../helpers/registry-objects.js'

describe('golden stores as image layouts', () => {
  for (const name of GOLDEN) {
    it(`reads every tag and verifies every blob of ${name}`, async () => {
      const dir = goldenCopy(name)
      const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as {
        manifests: Array<{annotations: Record<string, string>; digest: string}>
      }
      const layout = await openLayout(dir, {readOnly: true})
      const tags = await listed(layout.tags())
      const expected = index.manifests.map(({annotations}) => annotations['org.opencontainers.image.ref.name']!)
      expect(tags).to.deep.equal([...expected].sort())
      expect(tags).to.include('CONFIG')
      for (const tag of tags) {
        const {bytes} = await layout.manifests.get(tag)
        const {layers} = JSON.parse(Buffer.from(bytes).toString()) as {layers: Array<ReturnType<typeof blobOf>>}
        expect(layers).to.have.length(1)
        let size = 0
        for await (const chunk of await layout.blobs.fetch(layers[0]!)) size += (chunk as Buffer).length
        expect(size).to.equal(layers[0]!.size)
      }

      const blobs = await listed(layout.blobDigests())
      expect(blobs).to.have.length(readdirSync(join(dir, 'blobs', 'sha256')).length)
      expect(await listed(layout.manifestDigests())).to.have.length(new Set(index.manifests.map((m) => m.digest)).size)
      expect(existsSync(join(dir, '.kloset-oci'))).to.equal(false)
    })
  }
})
