import {expect} from 'chai'
import {existsSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {goldenCopy} from '../helpers/hooks.js'

describe('commands over the golden stores', () => {
  it('shows what plakar shows of each', async () => {
    const info = await cli(['info', `oci-layout:${goldenCopy('encrypted-sha256')}`])
    expect(info.status).to.equal(0)
    expect(info.stdout).to.contain('149aa79e-bbcd-48fc-bdf7-75f2cc7c0525')
    expect(info.stdout).to.match(/^encryption {3}AES256-GCM-SIV, subkeys AES256-KW, ARGON2ID$/m)
    expect(info.stdout).to.match(/^hashing {6}SHA256, 256 bits$/m)
  })

  it('names a lost blob with its object, its digest and exit code 65, and goes on', async () => {
    const path = goldenCopy('plaintext')
    const store = `oci-layout:${path}`
    const {objects} = (await cli(['ls', store, '--long', '--json'])).json<{objects: {digest: string; tag: string}[]}>()
    const lost = objects.find(({tag}) => tag.startsWith('packfiles-'))!
    const [algorithm, hex] = lost.digest.split(':') as [string, string]
    rmSync(join(path, 'blobs', algorithm, hex))
    const check = await cli(['gc-check', store])
    expect(check.status).to.equal(65)
    expect(check.stdout).to.contain(lost.tag).and.to.contain(lost.digest)
    expect(check.stdout.indexOf('next steps')).to.be.greaterThan(check.stdout.indexOf('verdict'))
    const json = await cli(['gc-check', store, '--json'])
    const document = json.json<{
      findings: {kind: string; tag: string}[]
      severities: {error: number}
      verdict: string
    }>()
    expect(document).to.include({exitCode: 65, schema: 'kloset-oci/gc-check/v1', verdict: 'damaged'})
    expect(document.findings.map(({kind, tag}) => [kind, tag])).to.deep.equal([['blob-missing', lost.tag]])
    expect(document.severities.error).to.equal(1)
    const get = await cli(['get', store, 'packfile', lost.tag.slice('packfiles-'.length), '-o', join(path, 'out')])
    expect(get.status).to.equal(65)
    expect(existsSync(join(path, 'out'))).to.equal(false)
    expect(readdirSync(path).filter((name) => name.endsWith('.part'))).to.deep.equal([])
  })

  it('finds a flipped bit with --deep alone', async () => {
    const path = goldenCopy('plaintext')
    const store = `oci-layout:${path}`
    const {objects} = (await cli(['ls', store, 'packfile', '--long', '--json'])).json<{objects: {digest: string}[]}>()
    const file = join(path, 'blobs', ...objects[0]!.digest.split(':'))
    const bytes = readFileSync(file)
    bytes[1000]! = 255 - bytes[1000]!
    writeFileSync(file, bytes)
    expect((await cli(['gc-check', store])).status).to.equal(0)
    const deep = await cli(['gc-check', store, '--deep'])
    expect(deep.status).to.equal(65)
    expect(deep.stdout).to.contain('digest-mismatch')
  })
})
