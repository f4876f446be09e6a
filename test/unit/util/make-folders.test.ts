import {expect} from 'chai'
import {statSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {fileOperation} from '../../../src/util/fs-error.js'
import {makeFolders} from '../../../src/util/make-folders.js'
import {systemError, withBroken} from '../../helpers/broken-fs.js'
import {failureOf} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'

/** As Node does on a read-only file system. */
function readOnly(_: unknown, [dir, options]: unknown[]): never {
  const {recursive = false} = (options ?? {}) as {recursive?: boolean}
  throw systemError(recursive ? 'ENOENT' : 'EROFS', 'mkdir', String(dir))
}

describe('folders', () => {
  it('are made with those above them, and are there when they were before', async () => {
    const path = join(scratchDir('folders'), 'a/b/c')
    await makeFolders(path)
    await makeFolders(path)
    expect(statSync(path).isDirectory()).to.equal(true)
  })

  it('are given up where they cannot be made and nothing says so, as below /proc', async function () {
    if (process.platform !== 'linux') this.skip()
    const failure = await failureOf(fileOperation('make folder', '/proc/a/b', async () => makeFolders('/proc/a/b')))
    expect(failure.code).to.equal('IO')
  })

  it('are no files, and no links to what is not there', async () => {
    const dir = scratchDir('folders')
    writeFileSync(join(dir, 'file'), '')
    symlinkSync(join(dir, 'nowhere'), join(dir, 'link'))
    for (const path of ['file', 'file/below', 'link', 'link/below']) {
      const made = failureOf(fileOperation('make folder', path, async () => makeFolders(join(dir, path))))
      expect((await made).code).to.equal('IO')
    }
  })

  it('say why they cannot be made, where Node itself only says that nothing is there', async () => {
    const path = join(scratchDir('read-only'), 'a/b')
    const failure = await withBroken('mkdir', readOnly, async () =>
      failureOf(fileOperation('make folder', path, async () => makeFolders(path))),
    )
    expect(failure.message).to.equal(`cannot make folder ${path}: read-only file system`)
    expect(failure.suggestions.join(' ')).to.contain('writable')
  })
})
