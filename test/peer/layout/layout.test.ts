import {expect} from 'chai'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {buffer} from 'node:stream/consumers'

import {parseDescriptor} from '../../../src/registry/descriptor.js'
import {openLayout} from '../../../src/registry/layout/open-layout.js'
import {type LayoutRepository} from '../../../src/registry/layout/repository.js'
import {MEDIA_TYPE} from '../../../src/registry/media-types.js'
import {goldenCopy, scratchDir} from '../../helpers/hooks.js'
import {needPeer, runPeer, startPeer, stopPeers} from '../../helpers/peers.js'
import {listed, pushObject} from '../../helpers/registry-objects.js'

const REF = 'org.opencontainers.image.ref.name'

/** Runs a program that must succeed, and hands back what it printed. */
async function run(program: string, ...args: string[]): Promise<string> {
  const {output, status} = await runPeer(program, args)
  expect(status, `${program} ${args.join(' ')}: ${output}`).to.equal(0)
  return output
}

async function newLayout(): Promise<{dir: string; layout: LayoutRepository}> {
  const dir = join(scratchDir('peer'), 'store')
  return {dir, layout: await openLayout(dir, {create: true, durable: false})}
}

/** Reads every tag: manifest, config and layers, each checked on its way. */
async function readAll(dir: string): Promise<string[]> {
  const layout = await openLayout(dir, {readOnly: true})
  const tags = await listed(layout.tags())
  for (const tag of tags) {
    const {bytes, mediaType} = await layout.manifests.get(tag)
    expect(mediaType).to.equal(MEDIA_TYPE.imageManifest)
    const {config, layers} = JSON.parse(Buffer.from(bytes).toString()) as {config: unknown; layers: unknown[]}
    for (const part of [config, ...layers]) await buffer(await layout.blobs.fetch(parseDescriptor(part, tag)))
  }

  return tags
}

function namesIn(dir: string): (string | undefined)[] {
  const {manifests} = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as {
    manifests: {annotations?: Record<string, string>}[]
  }
  return manifests.map(({annotations}) => annotations?.[REF])
}

describe('image layouts shared with other programs', function () {
  this.timeout(120_000)

  afterEach(stopPeers)

  it('skopeo reads what we wrote and we read what it wrote', async function () {
    const skopeo = needPeer(this, 'skopeo')
    const {dir, layout} = await newLayout()
    const {manifest} = await pushObject(layout, 'one')
    await pushObject(layout, 'packfiles-two')
    await layout.close()
    expect(await run(skopeo, 'inspect', '--raw', `oci:${dir}:one`)).to.equal(Buffer.from(manifest.bytes).toString())
    const other = join(scratchDir('skopeo'), 'copy')
    await run(skopeo, 'copy', `oci:${dir}:one`, `oci:${other}:one`)
    await run(skopeo, 'copy', `oci:${dir}:packfiles-two`, `oci:${other}:example.com/a/b:two`)
    expect(await readAll(other)).to.deep.equal(['one', 'two'])
    // Now ours again, into what skopeo made; then skopeo, moving a tag of ours.
    const again = await openLayout(other, {durable: false})
    await pushObject(again, 'three')
    await again.manifests.untag('two')
    await again.close()
    await run(skopeo, 'copy', `oci:${dir}:packfiles-two`, `oci:${other}:three`)
    expect(await readAll(other)).to.deep.equal(['one', 'three'])
    const [moved, original] = [await openLayout(other), await openLayout(dir)]
    const {digest} = await original.manifests.resolve('packfiles-two')
    expect((await moved.manifests.resolve('three')).digest).to.equal(digest)
  })

  it('oras reads what we wrote and we read what it wrote', async function () {
    const oras = needPeer(this, 'oras')
    const {dir, layout} = await newLayout()
    const {layer, manifest} = await pushObject(layout, 'one')
    await pushObject(layout, 'two')
    await layout.close()
    const fetched = await run(oras, 'manifest', 'fetch', '--oci-layout', `${dir}:one`)
    expect(fetched).to.equal(Buffer.from(manifest.bytes).toString())
    const blob = await run(oras, 'blob', 'fetch', '--oci-layout', '--output', '-', `${dir}@${layer.digest}`)
    expect(blob).to.equal('content of one')
    expect((await run(oras, 'repo', 'tags', '--oci-layout', dir)).split('\n').slice(0, 2)).to.deep.equal(['one', 'two'])

    const file = join(scratchDir('oras'), 'file.txt')
    writeFileSync(file, 'from oras')
    await run(oras, 'push', '--disable-path-validation', '--oci-layout', `${dir}:theirs`, file)
    await run(oras, 'tag', '--oci-layout', `${dir}:one`, 'uno')
    await run(oras, 'attach', '--disable-path-validation', '--oci-layout', '--artifact-type', 'a/b', `${dir}:one`, file)
    expect(await readAll(dir)).to.deep.equal(['one', 'theirs', 'two', 'uno'])
    const again = await openLayout(dir, {durable: false})
    const {digest} = await again.manifests.resolve('one')
    const referrers = await listed(again.referrers(digest))
    expect(referrers.map(({artifactType}) => artifactType)).to.deep.equal(['a/b'])
    expect((await again.manifests.untag('one')).manifestDeleted).to.equal(false)
    expect((await again.manifests.untag('two')).manifestDeleted).to.equal(true)
    await pushObject(again, 'four')
    await again.close()
    expect((await run(oras, 'repo', 'tags', '--oci-layout', dir)).trim().split('\n')).to.deep.equal([
      'four',
      'theirs',
      'uno',
    ])
    expect(await run(oras, 'manifest', 'fetch', '--oci-layout', `${dir}:uno`)).to.equal(fetched)
    expect(await run(oras, 'discover', '--oci-layout', `${dir}:uno`)).to.contain('a/b')
  })

  it('crane pushes from what we wrote and we read what it pulls', async function () {
    const crane = needPeer(this, 'crane')
    const [, port] = await startPeer(crane, ['registry', 'serve', '--address', '127.0.0.1:0'], {
      ready: /serving on port (\d+)/,
    })
    const registry = `127.0.0.1:${port}`
    const {dir, layout} = await newLayout()
    const {descriptor} = await pushObject(layout, 'one')
    await layout.close()
    await run(crane, 'push', '--insecure', dir, `${registry}/org/store:one`)
    expect((await run(crane, 'digest', '--insecure', `${registry}/org/store:one`)).trim()).to.equal(descriptor.digest)
    const pulled = join(scratchDir('crane'), 'pulled')
    const pull = ['pull', '--insecure', '--format=oci']
    await run(crane, ...pull, '--annotate-ref', `${registry}/org/store:one`, pulled)
    expect(namesIn(pulled)).to.deep.equal([`${registry}/org/store:one`])
    expect(await readAll(pulled)).to.deep.equal(['one'])
    // Without the option its entries have no name: manifests that are there, under no tag.
    const unnamed = join(scratchDir('crane'), 'unnamed')
    await run(crane, ...pull, `${registry}/org/store:one`, unnamed)
    const bare = await openLayout(unnamed, {durable: false})
    expect(await listed(bare.tags())).to.deep.equal([])
    expect((await listed(bare.manifestDigests())).map(({digest}) => digest)).to.deep.equal([descriptor.digest])
    await bare.manifests.tag(descriptor, 'named')
    await bare.close()
    expect(namesIn(unnamed)).to.deep.equal(['named'])
    expect(await readAll(unnamed)).to.deep.equal(['named'])
  })

  it('regctl reads what we wrote and we read what it wrote', async function () {
    const regctl = needPeer(this, 'regctl')
    const {dir, layout} = await newLayout()
    const {manifest} = await pushObject(layout, 'one')
    await pushObject(layout, 'two')
    await layout.close()
    expect((await run(regctl, 'tag', 'ls', `ocidir://${dir}`)).trim().split('\n').sort()).to.deep.equal(['one', 'two'])
    const raw = await run(regctl, 'manifest', 'get', '--format', 'raw-body', `ocidir://${dir}:one`)
    expect(raw).to.equal(Buffer.from(manifest.bytes).toString())
    const other = join(scratchDir('regctl'), 'copy')
    await run(regctl, 'image', 'copy', `ocidir://${dir}:two`, `ocidir://${other}:deux`)
    expect(await readAll(other)).to.deep.equal(['deux'])
    await run(regctl, 'tag', 'rm', `ocidir://${dir}:two`)
    expect(await readAll(dir)).to.deep.equal(['one'])
  })

  it('skopeo reads every object of a golden store that we have rewritten', async function () {
    const skopeo = needPeer(this, 'skopeo')
    const dir = goldenCopy('plaintext')
    const layout = await openLayout(dir, {durable: false})
    const before = await listed(layout.tags())
    await pushObject(layout, 'extra')
    await layout.manifests.untag('extra')
    await layout.close()
    for (const tag of before) {
      const raw = await run(skopeo, 'inspect', '--raw', `oci:${dir}:${tag}`)
      expect(JSON.parse(raw)).to.have.property('layers')
    }
  })
})
