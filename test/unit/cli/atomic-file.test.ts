import {expect} from 'chai'
import {chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {AtomicFile} from '../../../src/cli/atomic-file.js'
import {hasCode} from '../../../src/errors.js'
import {failureOf} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'

describe('atomic file', () => {
  it('appears whole, and only when committed', async () => {
    const dir = scratchDir('atomic')
    const path = join(dir, 'out')
    const file = await AtomicFile.create(path)
    await file.write(Buffer.from('one '))
    await file.write(Buffer.from('two'))
    expect(readdirSync(dir)).not.to.contain('out')
    await file.commit()
    expect(readFileSync(path, 'utf8')).to.equal('one two')
    expect(readdirSync(dir)).to.deep.equal(['out'])
  })

  it('leaves an older file as it was when discarded, and nothing beside it', async () => {
    const dir = scratchDir('atomic')
    const path = join(dir, 'out')
    writeFileSync(path, 'old')
    const file = await AtomicFile.create(path)
    await file.write(Buffer.from('new'))
    await file.discard()
    expect(readFileSync(path, 'utf8')).to.equal('old')
    expect(readdirSync(dir)).to.deep.equal(['out'])
  })

  it('keeps the permissions of the file that it replaces', async () => {
    const path = join(scratchDir('atomic'), 'out')
    writeFileSync(path, 'old')
    chmodSync(path, 0o600)
    const file = await AtomicFile.create(path)
    await file.commit()
    expect(statSync(path).mode % 0o1000).to.equal(0o600)
  })

  it('refuses a folder', async () => {
    const dir = scratchDir('atomic')
    mkdirSync(join(dir, 'sub'))
    const error = await failureOf(AtomicFile.create(join(dir, 'sub')))
    expect(hasCode(error, 'INVALID_ARGUMENT')).to.equal(true)
  })
})
