import {expect} from 'chai'
import {readdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {openLayout} from '../../../../src/registry/layout/open-layout.js'
import {MEDIA_TYPE} from '../../../../src/registry/media-types.js'
import {withBroken} from '../../../helpers/broken-fs.js'
import {scratchDir} from '../../../helpers/hooks.js'
import {imageManifest, listed, pushBlob, pushObject, rejects} from '../../../helpers/registry-objects.js'

interface IndexJson {
  annotations?: Record<string, string>
  manifests: Array<Record<string, unknown>>
}

async function newLayout() {
  const dir = join(scratchDir('index'), 'store')
  const indexPath = join(dir, 'index.json')
  return {
    dir,
    indexPath,
    layout: await openLayout(dir, {create: true, durable: false}),
    readIndex: () => JSON.parse(readFileSync(indexPath, 'utf8')) as IndexJson,
  }
}

/** Counts how often `run` puts a new index in place. */
async function indexWrites(indexPath: string, run: () => Promise<unknown>): Promise<number> {
  let count = 0
  await withBroken(
    'rename',
    (original, args) => {
      if (args[1] === indexPath) count++
      return original(...args)
    },
    run,
  )
  return count
}

describe('layout index writes', () => {
  it('lets all changes that wait go out in one write', async () => {
    const {indexPath, layout, readIndex} = await newLayout()
    const config = await pushBlob(layout, Buffer.from('{}'))
    const tags = Array.from({length: 400}, (_, index) => `t-${String(index).padStart(3, '0')}`)
    const writes = await indexWrites(indexPath, () =>
      Promise.all(tags.map((tag) => layout.manifests.push(imageManifest(config, {annotations: {tag}}), {tag}))),
    )
    expect(writes).to.be.within(1, 60)
    expect(readIndex().manifests).to.have.length(400)
    expect(await listed(layout.tags())).to.deep.equal(tags)
    const untags = await indexWrites(indexPath, () => Promise.all(tags.map((tag) => layout.manifests.untag(tag))))
    expect(untags).to.be.within(1, 60)
    expect(readIndex().manifests).to.deep.equal([])
    await layout.close()
  })

  it('writes nothing when nothing changes', async () => {
    const {indexPath, layout} = await newLayout()
    const {descriptor, manifest} = await pushObject(layout, 'a')
    const writes = await indexWrites(indexPath, async () => {
      await layout.manifests.push(manifest, {tag: 'a'})
      await layout.manifests.push(manifest)
      await layout.manifests.tag(descriptor, 'a')
    })
    expect(writes).to.equal(0)
    await layout.close()
  })

  it('keeps the order of its changes', async () => {
    const {layout} = await newLayout()
    const {descriptor} = await pushObject(layout, 'a')
    const results = await Promise.allSettled([
      layout.manifests.tag(descriptor, 'b'),
      layout.manifests.untag('a'),
      layout.manifests.untag('a'),
      layout.manifests.tag(descriptor, 'c'),
    ])
    expect(results.map(({status}) => status)).to.deep.equal(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    expect(await listed(layout.tags())).to.deep.equal(['b', 'c'])
    expect((await layout.manifests.get('b')).descriptor.digest).to.equal(descriptor.digest)
    await layout.close()
  })

  it('keeps what it does not know: fields of the index, foreign entries, their order', async () => {
    const {indexPath, layout, readIndex} = await newLayout()
    const {descriptor} = await pushObject(layout, 'ours')
    await layout.close()
    const foreign = {
      annotations: {'com.example': 'x', 'org.opencontainers.image.ref.name': 'docker.io/library/busybox:1.36'},
      digest: descriptor.digest,
      mediaType: descriptor.mediaType,
      platform: {architecture: 'arm64', os: 'linux'},
      size: descriptor.size,
      urls: ['https://example.com/x'],
    }
    const before = {...readIndex(), annotations: {kept: 'yes'}, artifactType: 'application/x'}
    before.manifests.push(foreign)
    writeFileSync(indexPath, JSON.stringify(before, null, 4))
    expect(await listed(layout.tags())).to.deep.equal(['1.36', 'ours'])
    await pushObject(layout, 'more')
    await layout.close()
    const after = readIndex()
    expect(after).to.deep.include({annotations: {kept: 'yes'}, artifactType: 'application/x', schemaVersion: 2})
    expect(after.manifests).to.have.length(3)
    expect(after.manifests[1]).to.deep.equal(foreign)
  })

  it('puts its change on top of one that a program without the lock made meanwhile', async () => {
    const {indexPath, layout, readIndex} = await newLayout()
    const {descriptor} = await pushObject(layout, 'a')
    let intruded = 0
    const intrude = () => {
      intruded++
      const index = readIndex()
      index.manifests.push({
        annotations: {'org.opencontainers.image.ref.name': `theirs-${intruded}`},
        digest: descriptor.digest,
        mediaType: MEDIA_TYPE.imageManifest,
        size: descriptor.size,
      })
      writeFileSync(`${indexPath}.new`, JSON.stringify(index))
      renameSync(`${indexPath}.new`, indexPath)
    }

    await withBroken(
      'handle.writeFile',
      (original, args) => {
        // The other program writes while our new index is on its way.
        if (intruded < 3 && String(args[0]).includes('schemaVersion')) intrude()
        return original(...args)
      },
      () => pushObject(layout, 'b'),
    )
    expect(intruded).to.equal(3)
    const expected = ['a', 'b', 'theirs-1', 'theirs-2', 'theirs-3']
    expect(await listed(layout.tags())).to.deep.equal(expected)
    await layout.close()
    expect(await listed((await openLayout(join(indexPath, '..'))).tags())).to.deep.equal(expected)
  })

  it('drops a change that was aborted before its turn, and only that one', async () => {
    const {layout} = await newLayout()
    const {descriptor} = await pushObject(layout, 'a')
    const controller = new AbortController()
    const [kept, dropped] = [
      layout.manifests.tag(descriptor, 'kept'),
      layout.manifests.tag(descriptor, 'dropped', {signal: controller.signal}),
    ]
    controller.abort(new Error('enough'))
    await rejects(dropped, 'INTERRUPTED')
    await kept
    expect(await listed(layout.tags())).to.deep.equal(['a', 'kept'])
    await layout.close()
  })

  it('leaves no files of its own but the empty folder', async () => {
    const {dir, layout} = await newLayout()
    await Promise.all(Array.from({length: 20}, (_, index) => pushObject(layout, `t${index}`)))
    await layout.close()
    expect(readdirSync(join(dir, '.kloset-oci', 'tmp'))).to.deep.equal([])
    expect(readdirSync(join(dir, '.kloset-oci'))).to.not.include('lock')
    expect(readdirSync(dir).sort()).to.deep.equal(['.kloset-oci', 'blobs', 'index.json', 'oci-layout'])
  })
})
