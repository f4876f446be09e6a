import {expect} from 'chai'
import {existsSync, readdirSync, rmSync, utimesSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Descriptor} from '../../../../src/registry/descriptor.js'
import type {LayoutRepository} from '../../../../src/registry/layout/repository.js'

import {algorithmOf, type Digest, digestOf, encodedOf} from '../../../../src/registry/digest.js'
import {openLayout} from '../../../../src/registry/layout/open-layout.js'
import {MEDIA_TYPE} from '../../../../src/registry/media-types.js'
import {systemClock} from '../../../../src/util/clock.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {withBroken} from '../../../helpers/broken-fs.js'
import {scratchDir} from '../../../helpers/hooks.js'
import {blobOf, imageManifest, listed, pushBlob, pushObject, rejects} from '../../../helpers/registry-objects.js'

const HOUR = 3_600_000

describe('garbage collection of a layout', () => {
  let dir: string
  let layout: LayoutRepository
  let ahead = 0

  beforeEach(async () => {
    ahead = 0
    dir = join(scratchDir('garbage'), 'store')
    const clock = {now: () => Date.now() + ahead, sleep: systemClock.sleep}
    layout = await openLayout(dir, {clock, create: true, durable: false})
  })

  afterEach(async () => {
    await layout.close()
  })

  const pathOf = (digest: Digest) => join(dir, 'blobs', algorithmOf(digest), encodedOf(digest))
  const has = (target: Descriptor) => existsSync(pathOf(target.digest))

  it('removes what no manifest reaches, and only that', async () => {
    const kept = await pushObject(layout, 'kept')
    const gone = await pushObject(layout, 'gone')
    const orphan = await pushBlob(layout, Buffer.from('never named'))
    await layout.manifests.untag('gone')
    expect(has(gone.layer)).to.equal(true)
    ahead = 2 * HOUR
    const dry = await layout.collectGarbage({dryRun: true})
    expect(dry.blobs.map(({digest}) => digest).sort()).to.deep.equal([gone.layer.digest, orphan.digest].sort())
    expect(dry.bytes).to.equal(gone.layer.size + orphan.size)
    expect([has(gone.layer), has(orphan)]).to.deep.equal([true, true])
    const done = await layout.collectGarbage()
    expect(done).to.deep.equal(dry)
    expect([has(gone.layer), has(orphan)]).to.deep.equal([false, false])
    expect([kept.config, kept.layer, kept.descriptor].map((target) => has(target))).to.deep.equal([true, true, true])
    expect((await layout.collectGarbage()).blobs).to.deep.equal([])
  })

  it('leaves young blobs to the manifests that may come yet', async () => {
    const orphan = await pushBlob(layout, Buffer.from('young'))
    ahead = HOUR - 60_000
    expect((await layout.collectGarbage()).blobs).to.deep.equal([])
    ahead = HOUR + 60_000
    expect((await layout.collectGarbage()).blobs.map(({digest}) => digest)).to.deep.equal([orphan.digest])
  })

  it('leaves an old blob that a push has just counted on', async () => {
    const bytes = Buffer.from('pushed long ago')
    const target = await pushBlob(layout, bytes)
    const longAgo = new Date(Date.now() - 10 * HOUR)
    utimesSync(pathOf(target.digest), longAgo, longAgo)
    expect(await layout.blobs.push(target, bufferSource(bytes))).to.equal(false)
    expect((await layout.collectGarbage()).blobs).to.deep.equal([])
    expect(has(target)).to.equal(true)
  })

  it('puts a blob back that a push counts on at the very moment of its removal', async () => {
    const bytes = Buffer.from('contended')
    const target = await pushBlob(layout, bytes)
    ahead = 2 * HOUR
    let touched = 0
    const report = await withBroken(
      'rename',
      (original, args) => {
        if (args[0] === pathOf(target.digest)) {
          touched++
          const now = new Date(Date.now() + 1000)
          utimesSync(pathOf(target.digest), now, now)
        }

        return original(...args)
      },
      () => layout.collectGarbage(),
    )
    expect(touched).to.equal(1)
    expect(report.blobs).to.deep.equal([])
    expect(has(target)).to.equal(true)
    expect(readdirSync(join(dir, '.kloset-oci', 'tmp'))).to.deep.equal([])
  })

  it('keeps what a manifest names that came while it was looking', async () => {
    const layer = await pushBlob(layout, Buffer.from('late'))
    const config = await pushBlob(layout, Buffer.from('{}'))
    const other = await openLayout(dir, {durable: false})
    ahead = 2 * HOUR
    let pushed = false
    await withBroken(
      'readdir',
      async (original, args) => {
        if (!pushed) {
          pushed = true
          await other.manifests.push(imageManifest(config, {layers: [layer]}), {tag: 'late'})
        }

        return original(...args)
      },
      () => layout.collectGarbage(),
    )
    expect(pushed).to.equal(true)
    expect([has(layer), has(config)]).to.deep.equal([true, true])
    await other.close()
  })

  it('follows indexes, subjects and sha512', async () => {
    const {config, descriptor, layer} = await pushObject(layout, 'part')
    const index = Buffer.from(
      JSON.stringify({manifests: [descriptor], mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2}),
    )
    await layout.manifests.push({bytes: index, mediaType: MEDIA_TYPE.imageIndex}, {tag: 'whole'})
    await layout.manifests.untag('part')
    const long = {...blobOf(Buffer.from('long')), digest: digestOf(Buffer.from('long'), 'sha512')}
    await layout.blobs.push(long, bufferSource(Buffer.from('long')))
    ahead = 2 * HOUR
    const {blobs} = await layout.collectGarbage()
    expect(blobs.map(({digest}) => digest)).to.deep.equal([long.digest])
    expect([config, layer, descriptor].map((target) => has(target))).to.deep.equal([true, true, true])
  })

  it('removes nothing when a manifest cannot be read', async () => {
    const {descriptor} = await pushObject(layout, 'damaged')
    const orphan = await pushBlob(layout, Buffer.from('orphan'))
    ahead = 2 * HOUR
    for (const damage of [
      () => writeFileSync(pathOf(descriptor.digest), 'x'),
      () => rmSync(pathOf(descriptor.digest)),
    ]) {
      damage()
      const error = await rejects(layout.collectGarbage(), 'INTEGRITY')
      expect(error.facts['digest']).to.equal(descriptor.digest)
      expect(has(orphan)).to.equal(true)
    }
  })

  it('drops untagged manifests when asked to, but no referrer and no part of an index', async () => {
    const {config, descriptor} = await pushObject(layout, 'image')
    const stray = await layout.manifests.push(imageManifest(config, {annotations: {is: 'stray'}}))
    const referrer = await layout.manifests.push(imageManifest(config, {subject: descriptor}))
    const part = await layout.manifests.push(imageManifest(config, {annotations: {is: 'part'}}))
    const index = Buffer.from(JSON.stringify({manifests: [part], mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2}))
    await layout.manifests.push({bytes: index, mediaType: MEDIA_TYPE.imageIndex}, {tag: 'whole'})
    expect((await layout.collectGarbage({untagged: true})).manifests).to.deep.equal([])
    ahead = 2 * HOUR
    expect((await layout.collectGarbage()).blobs).to.deep.equal([])
    const dry = await layout.collectGarbage({dryRun: true, untagged: true})
    expect(dry.manifests).to.deep.equal([stray.digest])
    expect(has(stray)).to.equal(true)
    const done = await layout.collectGarbage({untagged: true})
    expect(done).to.deep.equal(dry)
    expect([has(stray), has(referrer), has(part)]).to.deep.equal([false, true, true])
    await rejects(layout.manifests.get(stray.digest), 'NOT_FOUND')
    expect(await listed(layout.tags())).to.deep.equal(['image', 'whole'])
  })

  it('clears away what writers that died left, and no file that is not its own', async () => {
    await pushObject(layout, 'a')
    const dead = join(dir, '.kloset-oci', 'tmp', 'dead')
    const note = join(dir, 'blobs', 'sha256', 'README')
    writeFileSync(dead, 'half a blob')
    writeFileSync(note, 'a note')
    expect((await layout.collectGarbage()).temporaryFiles).to.equal(0)
    ahead = 2 * HOUR
    expect(await layout.collectGarbage()).to.deep.include({blobs: [], temporaryFiles: 1})
    expect([existsSync(dead), existsSync(note)]).to.deep.equal([false, true])
  })

  it('ends when it is aborted', async () => {
    await pushBlob(layout, Buffer.from('orphan'))
    ahead = 2 * HOUR
    await rejects(layout.collectGarbage({signal: AbortSignal.abort(new Error('enough'))}), 'INTERRUPTED')
  })
})
