import {expect} from 'chai'
import {execFileSync} from 'node:child_process'
import {lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {encodedOf} from '../../../../src/registry/digest.js'
import {openLayout} from '../../../../src/registry/layout/open-layout.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {scratchDir} from '../../../helpers/hooks.js'
import {blobOf, listed, pushBlob, pushObject, rejects} from '../../../helpers/registry-objects.js'

function layoutDir(): string {
  return join(scratchDir('open'), 'store')
}

async function emptyLayout(): Promise<string> {
  const dir = layoutDir()
  await (await openLayout(dir, {create: true, durable: false})).close()
  return dir
}

describe('hostile image layouts', () => {
  it('does not follow a link in a blob`s place, nor wait on a special file', async () => {
    const dir = await emptyLayout()
    const layout = await openLayout(dir)
    const secret = join(scratchDir('secret'), 'passwd')
    writeFileSync(secret, 'root:x')
    const target = blobOf(Buffer.from('root:x'))
    symlinkSync(secret, join(dir, 'blobs', 'sha256', encodedOf(target.digest)))
    await rejects(layout.blobs.fetch(target), 'PROTOCOL')
    await rejects(layout.blobs.fetch(target, {range: {length: 1, offset: 0}}), 'PROTOCOL')
    await rejects(layout.blobs.resolve(target.digest), 'PROTOCOL')
    expect(await listed(layout.blobDigests())).to.deep.equal([])
  })

  it('writes though the index is a link, which then is a file', async () => {
    const dir = await emptyLayout()
    const index = join(dir, 'index.json')
    renameSync(index, `${index}.real`)
    symlinkSync('index.json.real', index)
    const layout = await openLayout(dir, {durable: false})
    await pushObject(layout, 'a')
    await pushObject(layout, 'b')
    await layout.close()
    expect(lstatSync(index).isFile()).to.equal(true)
    expect(await listed((await openLayout(dir)).tags())).to.deep.equal(['a', 'b'])
  })

  it('finds no blob in a folder or pipe that has its name, and puts one in the place of a pipe', async () => {
    const dir = await emptyLayout()
    const layout = await openLayout(dir, {durable: false})
    const [folder, pipe] = ['folder', 'pipe'].map((text) => blobOf(Buffer.from(text)))
    const pathOf = (target: typeof folder) => join(dir, 'blobs', 'sha256', encodedOf(target!.digest))
    mkdirSync(pathOf(folder))
    execFileSync('mkfifo', [pathOf(pipe)])
    for (const target of [folder!, pipe!]) {
      for (const call of [() => layout.blobs.fetch(target), () => layout.blobs.resolve(target.digest)]) {
        const error = await rejects(call(), 'NOT_FOUND')
        expect(error.message).to.contain('what lies in its place is no file')
        expect(error.suggestions.join(' ')).to.contain(pathOf(target))
      }
    }

    expect(await layout.blobs.push(pipe!, bufferSource(Buffer.from('pipe')))).to.equal(true)
    expect((await layout.blobs.resolve(pipe!.digest)).size).to.equal(4)
    const error = await rejects(layout.blobs.push(folder!, bufferSource(Buffer.from('folder'))), 'IO')
    expect(error.message).to.contain(pathOf(folder))
  })

  it('finds a damaged manifest, one of the wrong size and one that is gone', async () => {
    const dir = await emptyLayout()
    const layout = await openLayout(dir, {durable: false})
    const paths = new Map<string, string>()
    for (const tag of ['flipped', 'short', 'gone', 'huge']) {
      const {descriptor} = await pushObject(layout, tag)
      paths.set(tag, join(dir, 'blobs', 'sha256', encodedOf(descriptor.digest)))
    }

    const bytes = readFileSync(paths.get('flipped')!)
    bytes[10] = 255 - bytes[10]!
    writeFileSync(paths.get('flipped')!, bytes)
    writeFileSync(paths.get('short')!, readFileSync(paths.get('short')!).subarray(1))
    truncateSync(paths.get('huge')!, 5 * 1024 * 1024)
    rmSync(paths.get('gone')!)
    await rejects(layout.manifests.get('flipped'), 'INTEGRITY')
    await rejects(layout.manifests.get('short'), 'INTEGRITY')
    await rejects(layout.manifests.get('huge'), 'PROTOCOL')
    for (const call of [() => layout.manifests.get('gone'), () => layout.manifests.resolve('gone')]) {
      const error = await rejects(call(), 'NOT_FOUND')
      expect(error.facts).to.include.keys('digest', 'reference')
      expect(error.message).to.contain('gone')
    }

    expect(await listed(layout.tags())).to.deep.equal(['flipped', 'gone', 'huge', 'short'])
    await layout.manifests.untag('gone')
    expect(await listed(layout.tags())).to.deep.equal(['flipped', 'huge', 'short'])
    await layout.close()
  })

  it('finds a flipped bit and a truncation in a blob', async () => {
    const dir = await emptyLayout()
    const layout = await openLayout(dir, {durable: false})
    const bytes = Buffer.alloc(3 * 1024 * 1024, 'abcdefg')
    const target = await pushBlob(layout, bytes)
    const path = join(dir, 'blobs', 'sha256', encodedOf(target.digest))
    const read = async () => {
      for await (const chunk of await layout.blobs.fetch(target)) expect(chunk).to.have.length.above(0)
    }

    await read()
    bytes[2_000_000] = 0
    writeFileSync(path, bytes)
    await rejects(read(), 'INTEGRITY')
    truncateSync(path, 100)
    await rejects(read(), 'INTEGRITY')
    await rejects(layout.blobs.fetch(target, {range: {length: 10, offset: 0}}), 'INTEGRITY')
    expect(await layout.blobs.push(target, bufferSource(Buffer.alloc(3 * 1024 * 1024, 'abcdefg')))).to.equal(true)
    await read()
  })
})
