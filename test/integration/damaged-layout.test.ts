import {expect} from 'chai'
import {mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {goldenCopy, scratchDir} from '../helpers/hooks.js'

interface Document {
  readonly error?: {readonly code: string; readonly message: string; readonly suggestions: readonly string[]}
  readonly exitCode: number
}

/** A golden store whose folder has a file written over, and a sound one. */
function damaged(file: string, edit: (text: string) => string): {path: string; sound: string; store: string} {
  const path = goldenCopy('plaintext')
  writeFileSync(join(path, file), edit(readFileSync(join(path, file), 'utf8')))
  return {path, sound: `oci-layout:${goldenCopy('plaintext')}`, store: `oci-layout:${path}`}
}

/** The file with the bytes of an object. */
function blobOf(path: string, tag: string): string {
  const {manifests} = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8')) as {
    manifests: {annotations: Record<string, string>; digest: string}[]
  }
  const blob = (digest: string) => join(path, 'blobs/sha256', digest.slice('sha256:'.length))
  const entry = manifests.find(({annotations}) => annotations['org.opencontainers.image.ref.name']!.startsWith(tag))!
  const manifest = JSON.parse(readFileSync(blob(entry.digest), 'utf8')) as {layers: {digest: string}[]}
  return blob(manifest.layers[0]!.digest)
}

const cutShort = (text: string) => text.slice(0, 300)

describe('a folder', function () {
  this.timeout(60_000)

  for (const [file, edit] of [
    ['index.json', cutShort],
    ['oci-layout', () => 'garbage'],
  ] as const) {
    it(`whose ${file} is damaged ends every command with 65 and a next step`, async () => {
      const {path, sound, store} = damaged(file, edit)
      const out = scratchDir('out')
      const commands = [
        ['ls', store],
        ['info', store],
        ['gc-check', store],
        ['verify', store],
        ['get', store, 'config', '-o', join(out, 'config')],
        ['diff', store, sound],
        ['diff', sound, store],
        ['copy', store, `oci-layout:${join(out, 'copy')}`],
        ['copy', sound, store],
        ['repair', 'plan', store, '--from', sound, '-o', join(out, 'plan')],
        ['repair', 'plan', sound, '--from', store, '-o', join(out, 'plan')],
        ['snapshot', 'ls', store],
        ['put', store, 'packfile', '12'.repeat(32), join(path, 'oci-layout')],
        ['create', store, '--plaintext'],
      ]
      const before = readFileSync(join(path, file), 'utf8')
      for (const args of commands) {
        const {error, exitCode} = (await cli([...args, '--json'])).json<Document>()
        expect([error?.code, exitCode], args.join(' ')).to.deep.equal(['DAMAGE', 65])
        expect(error?.message).to.contain(join(path, file))
        expect(error?.suggestions, args.join(' ')).not.to.deep.equal([])
      }

      expect(readFileSync(join(path, file), 'utf8')).to.equal(before)
    })
  }

  it('whose index is damaged is whole again after what the next step says: an empty index, and a copy of the mirror', async () => {
    const {path, sound, store} = damaged('index.json', cutShort)
    const {error} = (await cli(['ls', store, '--json'])).json<Document>()
    const [, empty] = /write (\{.*\}) in its place/.exec(error!.suggestions.join(' '))!
    writeFileSync(join(path, 'index.json'), empty!)
    expect((await cli(['copy', sound, store])).status).to.equal(0)
    expect((await cli(['diff', sound, store])).status).to.equal(0)
    expect((await cli(['verify', store])).status).to.equal(0)
  })

  it('whose marker is gone is told as such, with what belongs into it', async () => {
    const path = goldenCopy('plaintext')
    rmSync(join(path, 'oci-layout'))
    const {error, exitCode} = (await cli(['gc-check', `oci-layout:${path}`, '--json'])).json<Document>()
    expect(exitCode).to.equal(66)
    const [, marker] = /write (\{.*\}) into/.exec(error!.suggestions[0]!)!
    writeFileSync(join(path, 'oci-layout'), marker!)
    expect((await cli(['gc-check', `oci-layout:${path}`])).status).to.equal(0)
  })

  it('whose objects are damaged is told of without a word of a registry', async () => {
    const path = goldenCopy('plaintext')
    const tag = 'packfiles-919bc5138a3d4c45515e007208f0069581af8fb065c02a2bb2cc5b104f373206'
    rmSync(blobOf(path, tag))
    const store = `oci-layout:${path}`
    const mac = tag.slice('packfiles-'.length)
    for (const args of [
      ['gc-check', store],
      ['verify', store],
      ['get', store, 'packfile', mac, '-o', `${path}.out`],
    ]) {
      const {status, stderr, stdout} = await cli(args)
      expect(status, args.join(' ')).to.equal(65)
      expect(stdout + stderr, args.join(' '))
        .to.contain('in the folder')
        .and.not.to.match(/registry/i)
    }
  })

  it('with a folder or link in a blob`s name that nobody needs is checked as any other', async () => {
    const path = goldenCopy('plaintext')
    mkdirSync(join(path, 'blobs/sha256', 'ab'.repeat(32)))
    symlinkSync('/etc/hostname', join(path, 'blobs/sha256', 'cd'.repeat(32)))
    for (const command of ['gc-check', 'verify', 'du', 'prune']) {
      expect((await cli([command, `oci-layout:${path}`])).status, command).to.equal(0)
    }
  })

  it('with a link in the place of a state is not called damaged for what that state may tell', async () => {
    const path = goldenCopy('plaintext')
    const state = blobOf(path, 'state-21fa624f')
    renameSync(state, `${path}.state`)
    symlinkSync(`${path}.state`, state)
    const {exitCode, findings, nextSteps, verdict} = (await cli(['verify', `oci-layout:${path}`, '--json'])).json<
      Document & {findings: {kind: string}[]; nextSteps: string[]; verdict: string}
    >()
    expect([exitCode, verdict]).to.deep.equal([69, 'incomplete'])
    expect(findings.map(({kind}) => kind)).to.deep.equal(['unreachable', 'unreachable'])
    expect(nextSteps[0]).to.equal('Put the file itself in the place of the link.')
  })

  it('with a folder in the place of a packfile is healed once that is moved away, and says so', async () => {
    const path = goldenCopy('plaintext')
    const store = `oci-layout:${path}`
    const packfile = blobOf(path, 'packfiles-919bc513')
    rmSync(packfile)
    mkdirSync(packfile)
    expect((await cli(['gc-check', store, '--json'])).json<Document>().exitCode).to.equal(65)
    const plan = join(scratchDir('plan'), 'plan.json')
    const mirror = `oci-layout:${goldenCopy('plaintext')}`
    expect((await cli(['repair', 'plan', store, '--from', mirror, '-o', plan])).status).to.equal(0)
    const blocked = await cli(['repair', 'apply', plan, '--yes'])
    expect(blocked.status).to.equal(1)
    expect(blocked.stderr.replaceAll(/\s+/g, ' ')).to.contain(`cannot write ${packfile}: it is a folder`)
    expect(blocked.stderr).to.contain('Move it away')
    rmdirSync(packfile)
    expect((await cli(['repair', 'apply', plan, '--yes'])).status).to.equal(0)
    expect((await cli(['verify', store])).status).to.equal(0)
  })
})
