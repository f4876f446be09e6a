import {expect} from 'chai'
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {digestOf} from '../../../../src/registry/digest.js'
import {openLayout} from '../../../../src/registry/layout/open-layout.js'
import {MEDIA_TYPE} from '../../../../src/registry/media-types.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {scratchDir} from '../../../helpers/hooks.js'
import {blobOf, listed, pushObject, rejects} from '../../../helpers/registry-objects.js'

function layoutDir(): string {
  return join(scratchDir('open'), 'store')
}

async function emptyLayout(): Promise<string> {
  const dir = layoutDir()
  await (await openLayout(dir, {create: true, durable: false})).close()
  return dir
}

describe('opening an image layout', () => {
  it('does not make one unless asked to', async () => {
    const dir = layoutDir()
    const error = await rejects(openLayout(dir), 'NOT_FOUND')
    expect(error.suggestions.join(' ')).to.contain('create')
    expect(error.message).to.contain(dir)
    await rejects(openLayout(dir, {create: true, readOnly: true}), 'NOT_FOUND')
    expect(existsSync(dir)).to.equal(false)
    mkdirSync(dir)
    await rejects(openLayout(dir), 'NOT_FOUND')
    expect(readdirSync(dir)).to.deep.equal([])
  })

  it('makes one as the specification has it', async () => {
    const dir = await emptyLayout()
    expect(JSON.parse(readFileSync(join(dir, 'oci-layout'), 'utf8'))).to.deep.equal({imageLayoutVersion: '1.0.0'})
    const index = {manifests: [], mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2}
    expect(JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8'))).to.deep.equal(index)
    expect(readdirSync(join(dir, 'blobs'))).to.deep.equal(['sha256'])
    expect(await listed((await openLayout(dir, {create: true})).tags())).to.deep.equal([])
  })

  it('leaves the index of an existing one alone', async () => {
    const dir = await emptyLayout()
    const first = await openLayout(dir, {durable: false})
    await pushObject(first, 'a')
    await first.close()
    const again = await openLayout(dir, {create: true})
    expect(await listed(again.tags())).to.deep.equal(['a'])
    expect(again.location).to.equal(`oci-layout:${dir}`)
  })

  it('does not spill into a folder of something else', async () => {
    const dir = layoutDir()
    mkdirSync(dir)
    writeFileSync(join(dir, 'letter.txt'), 'dear')
    const error = await rejects(openLayout(dir, {create: true}), 'INVALID_ARGUMENT')
    expect(error.facts['found']).to.equal('letter.txt')
    expect(readdirSync(dir)).to.deep.equal(['letter.txt'])
    await rejects(openLayout(join(dir, 'letter.txt'), {create: true}), 'INVALID_ARGUMENT')
    await rejects(openLayout(join(dir, 'letter.txt')), 'INVALID_ARGUMENT')
    await rejects(openLayout(''), 'INVALID_ARGUMENT')
  })

  it('finishes what a creation that died began', async () => {
    const dir = await emptyLayout()
    const index = readFileSync(join(dir, 'index.json'))
    const begun = layoutDir()
    mkdirSync(join(begun, 'blobs', 'sha256'), {recursive: true})
    writeFileSync(join(begun, 'index.json'), index)
    await rejects(openLayout(begun), 'NOT_FOUND')
    expect(await listed((await openLayout(begun, {create: true})).tags())).to.deep.equal([])
  })

  it('refuses a version that it does not know', async () => {
    const dir = await emptyLayout()
    for (const version of ['2.0.0', '1.0.1', '1', '']) {
      writeFileSync(join(dir, 'oci-layout'), JSON.stringify({imageLayoutVersion: version}))
      await rejects(openLayout(dir), 'VERSION')
    }
  })

  it('refuses a marker that is none', async () => {
    const dir = await emptyLayout()
    for (const text of ['', 'x', '[]', '{}', '{"imageLayoutVersion":1}', 'null', 'x'.repeat(70_000)]) {
      writeFileSync(join(dir, 'oci-layout'), text)
      const error = await rejects(openLayout(dir), 'DAMAGE')
      expect(error.message).to.contain(join(dir, 'oci-layout'))
      // Done as it says, the layout opens again.
      writeFileSync(join(dir, 'oci-layout'), /Write (\S+) into/.exec(error.suggestions[0]!)![1]!)
      expect(await listed((await openLayout(dir)).tags())).to.deep.equal([])
    }
  })

  it('refuses an index that is none, and names the file', async () => {
    const dir = await emptyLayout()
    const path = join(dir, 'index.json')
    const digest = digestOf(Buffer.from('x'))
    for (const text of [
      '',
      '{',
      '[]',
      '{"manifests":{}}',
      '{"manifests":[{}]}',
      '{"manifests":[null]}',
      '{"manifests":[{"mediaType":"a","digest":"sha256:..","size":1}]}',
      `{"manifests":[{"mediaType":"a","digest":"${digest}","size":-1}]}`,
      `{"manifests":[{"mediaType":"a","digest":"${digest}","size":1},]}`,
      '<html><body>502</body></html>',
    ]) {
      writeFileSync(path, text)
      const error = await rejects(openLayout(dir), 'DAMAGE')
      expect(error.message, text).to.contain(path)
    }
  })

  it('refuses an index that is too large without reading it', async () => {
    const dir = await emptyLayout()
    truncateSync(join(dir, 'index.json'), 600 * 1024 * 1024)
    const error = await rejects(openLayout(dir), 'UNSUPPORTED')
    expect(error.facts['size']).to.equal(600 * 1024 * 1024)
  })

  it('says that the index is missing instead of showing an empty store', async () => {
    const dir = await emptyLayout()
    const layout = await openLayout(dir)
    rmSync(join(dir, 'index.json'))
    await rejects(openLayout(dir), 'DAMAGE')
    await rejects(openLayout(dir, {create: true}), 'DAMAGE')
    await rejects(listed(layout.tags()), 'DAMAGE')
  })

  it('reads the index again when another program changed it', async () => {
    const dir = await emptyLayout()
    const [reader, writer] = [await openLayout(dir), await openLayout(dir, {durable: false})]
    for (const tag of ['a', 'b', 'c']) {
      await pushObject(writer, tag)
      expect((await reader.manifests.resolve(tag)).size).to.be.above(0)
    }

    await writer.manifests.untag('b')
    expect(await listed(reader.tags())).to.deep.equal(['a', 'c'])
    await writer.close()
  })

  it('reads without a lock and refuses every write when read-only', async () => {
    const dir = await emptyLayout()
    const writer = await openLayout(dir, {durable: false})
    const {descriptor, layer, manifest} = await pushObject(writer, 'a')
    await writer.close()
    rmSync(join(dir, '.kloset-oci'), {recursive: true})
    const layout = await openLayout(dir, {readOnly: true})
    expect(await listed(layout.tags())).to.deep.equal(['a'])
    expect((await layout.manifests.get('a')).descriptor.digest).to.equal(descriptor.digest)
    await rejects(layout.manifests.untag('a'), 'UNSUPPORTED')
    await rejects(layout.manifests.push(manifest, {tag: 'b'}), 'UNSUPPORTED')
    await rejects(layout.manifests.tag(descriptor, 'b'), 'UNSUPPORTED')
    await rejects(layout.manifests.delete(descriptor.digest), 'UNSUPPORTED')
    await rejects(layout.blobs.delete(layer.digest), 'UNSUPPORTED')
    await rejects(layout.blobs.push(blobOf(Buffer.from('x')), bufferSource(Buffer.from('x'))), 'UNSUPPORTED')
    await rejects(layout.collectGarbage(), 'UNSUPPORTED')
    expect(existsSync(join(dir, '.kloset-oci'))).to.equal(false)
  })
})
