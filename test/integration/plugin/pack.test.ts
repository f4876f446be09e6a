import {expect} from 'chai'
import {copyFileSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../../helpers/cli.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {scratchDir} from '../../helpers/hooks.js'
import {pluginBundle} from '../../helpers/plugin-package.js'
import {script} from '../../helpers/script.js'

describe('plugin pack', () => {
  let bundle: string
  let dir: string
  /** Where Node is not. */
  const path = scratchDir('path')

  before(async () => {
    bundle = (await pluginBundle()).script
  })

  beforeEach(() => {
    dir = join(scratchDir('pack'), 'files')
  })

  interface Packed {
    readonly executable: string
    readonly extraFiles: string[]
    readonly form: string
    readonly manifest: string
    readonly package?: string
    readonly platform: string
  }

  it('writes the files that plakar makes a package of, and says so where there is no plakar', async () => {
    const {status, stderr, stdout} = await cli(['plugin', 'pack', '-o', dir], {env: {PATH: path}})
    expect(status, stderr).to.equal(0)
    expect(stdout).to.contain('manifest.yaml')
    expect(stderr).to.match(/plakar is not on PATH, .*`plakar pkg create \S+manifest\.yaml v\d+\.\d+\.\d+`/)
    const manifest = readFileSync(join(dir, 'manifest.yaml'), 'utf8')
    expect(manifest)
      .to.match(/^name: "oci"$/m)
      .and.to.match(/^version: "v\d+\.\d+\.\d+"$/m)
    expect(manifest).to.contain(
      [
        'connectors:',
        '  - type: storage',
        '    executable: "kloset-oci-plugin"',
        '    license: "ISC"',
        '    protocols: [oci]',
      ].join('\n'),
    )
    expect(statSync(join(dir, 'kloset-oci-plugin')).mode % 0o1000).to.equal(0o755)
    expect(readFileSync(join(dir, 'kloset-oci-plugin.cjs')).equals(readFileSync(bundle))).to.equal(true)
    expect(readFileSync(join(dir, 'kloset-oci-plugin.LICENSES.txt'), 'utf8')).to.contain('axios')
  })

  it('runs the plakar that it is told, for the platform that it is told', async () => {
    const log = join(scratchDir('log'), 'log')
    const plakar = script('plakar', `echo "$GOOS/$GOARCH $*" >>${log}; [ "$1" = pkg ] && echo made >"$4"; exit 0`)
    const args = ['plugin', 'pack', '-o', dir, '--plakar', plakar, '--platform', 'macos/arm64', '--json']
    const {json, status, stdout} = await cli(args)
    expect(status, stdout).to.equal(0)
    const packed = json<Packed>()
    expect(packed.package).to.match(/\/oci_v\d+\.\d+\.\d+_darwin_arm64\.ptar$/)
    expect(packed.platform).to.equal('darwin/arm64')
    expect(readFileSync(packed.package!, 'utf8')).to.equal('made\n')
    expect(readFileSync(log, 'utf8').split('\n')).to.include(
      `darwin/arm64 pkg create -out ${packed.package} ${packed.manifest} ${/v[\d.]+\d/.exec(packed.package!)![0]}`,
    )
  })

  it('tells what plakar said when it fails, and takes no wrong name, platform or path', async () => {
    const plakar = script('plakar', 'echo "failed to package all the files"; exit 1')
    const failed = await cli(['plugin', 'pack', '-o', dir, '--plakar', plakar])
    expect(failed.status).to.equal(1)
    expect(failed.stderr).to.contain('failed to package all the files')
    expect((await cli(['plugin', 'pack', '-o', dir, '--plakar', '/nowhere/plakar'])).status).to.equal(66)
    expect((await cli(['plugin', 'pack', '-o', dir, '--name', 'o_ci'])).status).to.equal(64)
    expect((await cli(['plugin', 'pack', '-o', dir, '--platform', 'windows/amd64'])).status).to.equal(64)
    const other = process.arch === 'arm64' ? 'linux/amd64' : 'linux/arm64'
    const foreign = await cli(['plugin', 'pack', '-o', dir, '--standalone', '--platform', other])
    expect(foreign.status).to.equal(64)
    expect(foreign.stderr).to.contain('--node')
    const own = await cli([
      'plugin',
      'pack',
      '-o',
      dir,
      '--standalone',
      '--platform',
      other,
      '--node',
      process.execPath,
    ])
    expect(own.status).to.equal(64)
    expect(own.stderr).to.match(/a program for \S+, not for/)
    const empty = join(scratchDir('pack'), 'files')
    const text = await cli(['plugin', 'pack', '-o', empty, '--standalone', '--node', bundle])
    expect([text.status, existsSync(join(empty, 'kloset-oci-plugin'))]).to.deep.equal([64, false])
  })

  describe('makes a launcher that', () => {
    let fake: FakeRegistry
    let launcher: string

    before(async () => {
      fake = await FakeRegistry.start()
      const folder = join(scratchDir('pack'), "it's a folder")
      expect((await cli(['plugin', 'pack', '-o', folder], {env: {PATH: path}})).status).to.equal(0)
      launcher = join(folder, 'kloset-oci-plugin')
    })

    after(() => fake.stop())

    async function firstCall(program: string, env: Record<string, string>): Promise<string> {
      const args = ['plugin', `oci://${fake.host}/a/b`, '--executable', program]
      const {stderr, stdout} = await cli(args, {env: {HOME: path, PATH: path, ...env}})
      return stdout.split('\n')[0]! + stderr
    }

    it('finds the Node that packed it, where PATH has none', async () => {
      expect(await firstCall(launcher, {})).to.match(/^ok +Init/)
    })

    it('takes the Node that KLOSET_OCI_NODE names, and no other', async () => {
      expect(await firstCall(launcher, {KLOSET_OCI_NODE: process.execPath})).to.match(/^ok +Init/)
      expect(await firstCall(launcher, {KLOSET_OCI_NODE: '/nowhere/node'})).to.match(
        /KLOSET_OCI_NODE is \/nowhere\/node/,
      )
    })

    it('takes the one on PATH before all others', async () => {
      const bin = scratchDir('node')
      symlinkSync(script('node', 'echo "this one" >&2; exit 9'), join(bin, 'node'))
      expect(await firstCall(launcher, {PATH: bin})).to.match(/status 9: this one/)
    })

    it('says what is missing where there is no Node at all', async () => {
      const folder = scratchDir('nodeless')
      const text = readFileSync(launcher, 'utf8').replaceAll(/'[^']*node'|"[^"]*\/node"/g, '/nowhere/node')
      copyFileSync(`${launcher}.cjs`, join(folder, 'kloset-oci-plugin.cjs'))
      writeFileSync(join(folder, 'kloset-oci-plugin'), text, {mode: 0o755})
      expect(await firstCall(join(folder, 'kloset-oci-plugin'), {})).to.match(
        /Node\.js \(20\.19 or later\) was not found/,
      )
    })
  })

  it('makes a program that runs where Node is not, and nothing else is either', async function () {
    this.timeout(180_000)
    if (!readFileSync(process.execPath).includes('NODE_SEA_FUSE_')) {
      process.stderr.write('skipped: this build of Node cannot carry a script\n')
      this.skip()
    }

    const fake = await FakeRegistry.start()
    try {
      const {json, status, stderr} = await cli(['plugin', 'pack', '--standalone', '-o', dir, '--json'], {
        env: {PATH: path},
      })
      expect(status, stderr).to.equal(0)
      const {executable, extraFiles, form} = json<Packed>()
      expect(form).to.equal('standalone')
      expect(extraFiles).to.have.length(1)
      const moved = join(scratchDir('moved'), 'plugin')
      copyFileSync(executable, moved)
      const args = ['plugin', `oci://${fake.host}/a/b`, '--executable', moved]
      const {stdout} = await cli(args, {env: {PATH: ''}})
      expect(stdout).to.match(/^ok +Init/)
    } finally {
      await fake.stop()
    }
  })
})
