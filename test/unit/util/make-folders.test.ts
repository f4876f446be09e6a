import {expect} from 'chai'
import {statSync} from 'node:fs'
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

  it('say why they cannot be made, where Node itself only says that nothing is there', async () => {
    const path = join(scratchDir('read-only'), 'a/b')
    const failure = await withBroken('mkdir', readOnly, async () =>
      failureOf(fileOperation('make folder', path, async () => makeFolders(path))),
    )
    expect(failure.message).to.equal(`cannot make folder ${path}: read-only file system`)
    expect(failure.suggestions.join(' ')).to.contain('writable')
  })
})
