import {expect} from 'chai'
import {existsSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {flipBit} from '../helpers/damage.js'
import {goldenObjects} from '../helpers/golden.js'
import {GOLDEN_PASSPHRASE, goldenCopy, type GoldenName, scratchDir} from '../helpers/hooks.js'

const configOf = (name: GoldenName) => goldenObjects(name).find(({tag}) => tag === 'CONFIG')!.bytes

/** Takes CONFIG's tag away, behind the program's back. */
function loseConfig(layout: string): void {
  const path = join(layout, 'index.json')
  const index = JSON.parse(readFileSync(path, 'utf8')) as {manifests: {annotations?: Record<string, string>}[]}
  index.manifests = index.manifests.filter(
    ({annotations}) => annotations?.['org.opencontainers.image.ref.name'] !== 'CONFIG',
  )
  writeFileSync(path, JSON.stringify(index))
}

interface Document {
  readonly error?: {readonly code: string}
  readonly exitCode: number
  readonly macChecked: boolean
  readonly proof: {readonly state: string}
  readonly replacedKeptIn?: string
  readonly written: boolean
}

async function config(...args: string[]): Promise<Document> {
  const {json, status, stderr} = await cli(['config', ...args, '--json'])
  expect(stderr).to.equal('')
  const document = json<Document>()
  expect(document.exitCode).to.equal(status)
  return document
}

describe('config export and import', () => {
  it('saves the configuration and puts it back when it is lost', async () => {
    const layout = goldenCopy('plaintext')
    const store = `oci-layout:${layout}`
    const file = join(scratchDir('config'), 'main.config')
    const saved = await config('export', store, '-o', file)
    expect([saved.exitCode, saved.macChecked, saved.proof.state]).to.deep.equal([0, true, 'proven'])
    expect(readFileSync(file).equals(configOf('plaintext'))).to.equal(true)

    loseConfig(layout)
    expect((await cli(['gc-check', store])).status).to.equal(65)
    expect((await config('export', store, '-o', `${file}.2`)).exitCode).to.equal(66)
    expect(existsSync(`${file}.2`)).to.equal(false)
    const put = await config('import', store, file)
    expect([put.exitCode, put.written, put.proof.state]).to.deep.equal([0, true, 'proven'])
    expect((await cli(['gc-check', store, '--deep'])).status).to.equal(0)
    const again = await config('import', store, file)
    expect([again.exitCode, again.written]).to.deep.equal([0, false])
  })

  it('refuses over a sound one, over objects of another store, and what is no configuration', async () => {
    const layout = goldenCopy('plaintext')
    const store = `oci-layout:${layout}`
    const file = join(scratchDir('config'), 'other.config')
    writeFileSync(file, configOf('plaintext-uncompressed'))
    const sound = await config('import', store, file)
    expect([sound.exitCode, sound.error!.code]).to.deep.equal([73, 'ALREADY_EXISTS'])
    const foreign = await config('import', store, file, '--replace-sound-config')
    expect([foreign.exitCode, foreign.error!.code]).to.deep.equal([65, 'INTEGRITY'])
    loseConfig(layout)
    expect((await config('import', store, file)).exitCode).to.equal(65)
    const ls = await cli(['ls', store, 'config', '--count'])
    expect(ls.stdout.trim()).to.equal('0')

    for (const bytes of [Buffer.alloc(0), Buffer.alloc(400, 1), flipBit(configOf('plaintext'), 8 * 100)]) {
      writeFileSync(file, bytes)
      expect((await config('import', store, file)).exitCode).to.equal(65)
    }

    expect((await config('import', store, join(file, 'none'))).exitCode).to.be.oneOf([1, 66])
    expect((await config('import', store, `${file}.none`)).exitCode).to.equal(66)
    expect((await config('export', `oci-layout:${goldenCopy('plaintext')}`, '-o', file)).exitCode).to.equal(73)
  })

  it('replaces a damaged one, and keeps what was there', async () => {
    const layout = goldenCopy('plaintext')
    const store = `oci-layout:${layout}`
    const folder = scratchDir('config')
    const [bad, good] = [join(folder, 'bad'), join(folder, 'good')]
    writeFileSync(bad, flipBit(configOf('plaintext'), 8 * 100))
    writeFileSync(good, configOf('plaintext'))
    loseConfig(layout)
    const put = await cli(['put', store, 'config', bad])
    if (put.status === 0) {
      expect((await config('export', store, '-o', join(folder, 'x'))).exitCode).to.equal(65)
      const done = await config('import', store, good)
      expect(done.exitCode).to.equal(0)
      expect(readFileSync(done.replacedKeptIn!).equals(readFileSync(bad))).to.equal(true)
      expect((await cli(['gc-check', store])).status).to.equal(0)
    } else {
      expect(put.status, 'put takes no damaged CONFIG').to.equal(65)
    }
  })

  it('says what it cannot check without the passphrase', async () => {
    const layout = goldenCopy('encrypted')
    const store = `oci-layout:${layout}`
    const folder = scratchDir('config')
    const file = join(folder, 'saved')
    const blind = await config('export', store, '-o', file)
    expect([blind.exitCode, blind.macChecked, blind.proof.state]).to.deep.equal([0, false, 'no-passphrase'])
    const passphrase = join(folder, 'passphrase')
    writeFileSync(passphrase, GOLDEN_PASSPHRASE)
    loseConfig(layout)
    const put = await config('import', store, file, '--passphrase-file', passphrase)
    expect([put.exitCode, put.macChecked, put.proof.state]).to.deep.equal([0, true, 'proven'])
    writeFileSync(passphrase, 'another')
    expect((await config('import', store, file, '--passphrase-file', passphrase)).exitCode).to.equal(77)
  })
})
