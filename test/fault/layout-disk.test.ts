import {expect} from 'chai'
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import type {LayoutRepository} from '../../src/registry/layout/repository.js'

import {encodedOf} from '../../src/registry/digest.js'
import {openLayout} from '../../src/registry/layout/open-layout.js'
import {bufferSource} from '../../src/util/content-source.js'
import {systemError, withBroken} from '../helpers/broken-fs.js'
import {scratchDir} from '../helpers/hooks.js'
import {blobOf, imageManifest, listed, pushBlob, pushObject, rejects} from '../helpers/registry-objects.js'

describe('image layout on a failing disk', () => {
  let dir: string
  let layout: LayoutRepository

  beforeEach(async () => {
    dir = join(scratchDir('disk'), 'store')
    layout = await openLayout(dir, {create: true})
    await pushObject(layout, 'before')
  })

  afterEach(async () => {
    await layout.close()
  })

  const blobs = () => readdirSync(join(dir, 'blobs', 'sha256')).sort()
  const leftovers = () => readdirSync(join(dir, '.kloset-oci', 'tmp'))

  for (const code of ['ENOSPC', 'EDQUOT', 'EIO']) {
    it(`fails a blob with ${code} in the middle of a write and leaves nothing`, async () => {
      const bytes = Buffer.alloc(5 * 1024 * 1024, 'x')
      const before = blobs()
      let writes = 0
      const error = await withBroken(
        'handle.write',
        (original, args) => {
          writes++
          if (writes < 3) return original(...args)
          throw systemError(code, 'write')
        },
        () => rejects(layout.blobs.push(blobOf(bytes), bufferSource(bytes)), 'IO'),
      )
      expect(error.facts).to.include({errno: code})
      expect(error.facts['path']).to.be.a('string')
      expect(error.suggestions).to.have.length(1)
      expect(blobs()).to.deep.equal(before)
      expect(leftovers()).to.deep.equal([])
      expect(await layout.blobs.push(blobOf(bytes), bufferSource(bytes))).to.equal(true)
    })
  }

  it('goes on when the system takes less of a write than it was offered', async () => {
    const bytes = Buffer.from(Array.from({length: 300_000}, (_, index) => (index * 7) % 251))
    await withBroken(
      'handle.write',
      (original, args) => {
        const [bytes, offset, length, position] = args as [Uint8Array, number, number, number]
        return original(bytes, offset, Math.min(length, 77_777), position)
      },
      () => layout.blobs.push(blobOf(bytes), bufferSource(bytes)),
    )
    expect(readFileSync(join(dir, 'blobs', 'sha256', encodedOf(blobOf(bytes).digest))).equals(bytes)).to.equal(true)
  })

  for (const [name, code] of [
    ['handle.datasync', 'EIO'],
    ['handle.sync', 'EIO'],
    ['rename', 'EACCES'],
    ['open', 'EROFS'],
    ['open', 'EMFILE'],
  ] as const) {
    it(`leaves index and tags as they were when ${name} gives ${code}`, async () => {
      const config = await pushBlob(layout, Buffer.from('{}'))
      const index = readFileSync(join(dir, 'index.json'))
      const manifest = imageManifest(config, {annotations: {new: 'one'}})
      const error = await withBroken(
        name,
        (original, args) => {
          if (name === 'open' && !String(args[0]).includes('.kloset-oci')) return original(...args)
          throw systemError(code, name)
        },
        () => rejects(layout.manifests.push(manifest, {tag: 'new'}), 'IO'),
      )
      expect(error.facts).to.include({errno: code})
      expect(readFileSync(join(dir, 'index.json')).equals(index)).to.equal(true)
      expect(await listed(layout.tags())).to.deep.equal(['before'])
      expect(leftovers()).to.deep.equal([])
      await layout.manifests.push(manifest, {tag: 'new'})
      expect(await listed(layout.tags())).to.deep.equal(['before', 'new'])
    })
  }

  it('fails every change of a write that fails, and goes on with the next', async () => {
    const config = await pushBlob(layout, Buffer.from('{}'))
    const push = (tag: string) => layout.manifests.push(imageManifest(config, {annotations: {tag}}), {tag})
    await withBroken(
      'rename',
      (original, args) => {
        if (args[1] === join(dir, 'index.json')) throw systemError('ENOSPC', 'rename')
        return original(...args)
      },
      async () => {
        const results = await Promise.allSettled(['a', 'b', 'c'].map((tag) => push(tag)))
        expect(results.map(({status}) => status)).to.deep.equal(['rejected', 'rejected', 'rejected'])
      },
    )
    expect(await listed(layout.tags())).to.deep.equal(['before'])
    await Promise.all(['a', 'd'].map((tag) => push(tag)))
    expect(await listed(layout.tags())).to.deep.equal(['a', 'before', 'd'])
  })

  it('reports a failing read', async () => {
    const target = blobOf(Buffer.from('content of before'))
    const error = await withBroken(
      'handle.read',
      () => {
        throw systemError('EIO', 'read')
      },
      () => rejects(layout.blobs.fetch(target, {range: {length: 3, offset: 0}}), 'IO'),
    )
    expect(error.facts).to.include({errno: 'EIO'})
  })
})
