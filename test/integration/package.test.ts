import {expect} from 'chai'
import {spawnSync} from 'node:child_process'
import {readdirSync, readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'

import {cleanEnv, cli} from '../helpers/cli.js'
import {pluginBundle} from '../helpers/plugin-package.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Manifest {
  readonly commands: Record<
    string,
    {description: string; examples?: unknown[]; flags: Record<string, {description?: string}>; summary: string}
  >
}

const manifest = JSON.parse(readFileSync(`${root}oclif.manifest.json`, 'utf8')) as Manifest

function script(name: string, ...args: string[]) {
  return spawnSync(process.execPath, [`${root}scripts/${name}`, ...args], {
    cwd: root,
    encoding: 'utf8',
    env: cleanEnv(),
  })
}

describe('the package', () => {
  it('has a manifest and a command reference that say what the commands say', () => {
    const {status, stderr} = script('docs.js', '--check')
    expect(status, stderr).to.equal(0)
  })

  it('has every command in its manifest', () => {
    const files = readdirSync(`${root}src/commands`, {recursive: true})
      .map(String)
      .filter((path) => path.endsWith('.ts'))
      .map((path) => path.replace(/(?:[/\\]index)?\.ts$/, '').replaceAll(/[/\\]/g, ':'))
    expect(Object.keys(manifest.commands).sort()).to.deep.equal(files.sort())
  })

  it('explains every command with examples, exit codes and lower-case flags', () => {
    for (const [id, {description, examples, flags, summary}] of Object.entries(manifest.commands)) {
      expect(summary, id).to.match(/^[a-z].*[^.]$/)
      expect(description, id).to.match(/\n\nExit codes:\n0 {4}done/)
      expect(examples, id).to.have.length.greaterThan(0)
      for (const [name, flag] of Object.entries(flags)) {
        expect(flag.description, `${id} --${name}`).to.match(/^[a-z].*[^.]$/)
      }
    }
  })

  it('packs what it needs to start, and no tests', async () => {
    await pluginBundle()
    const {status, stderr, stdout} = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
      encoding: 'utf8',
      env: cleanEnv(),
    })
    expect(status, stderr).to.equal(0)
    const [{files}] = JSON.parse(stdout) as [{files: {path: string}[]}]
    const paths = files.map(({path}) => path)
    expect(paths).to.include.members([
      'bin/run.js',
      'bin/start.cjs',
      'dist/cli/main.js',
      'dist/commands/ls.js',
      'dist/kloset-oci.LICENSES.txt',
      'dist/kloset-oci.cjs',
      'dist/plugin/kloset-oci-plugin.LICENSES.txt',
      'dist/plugin/kloset-oci-plugin.cjs',
      'oclif.manifest.json',
      'LICENSE',
    ])
    expect(paths.filter((path) => /^(?:test|src)\/|\.code$/.test(path))).to.deep.equal([])
  })

  it('says its version and its commands', async () => {
    expect((await cli(['--version'])).stdout).to.match(/^kloset-oci\/\d/)
    const help = await cli(['--help'])
    for (const id of Object.keys(manifest.commands)) expect(help.stdout).to.contain(id.split(':')[0])
    const one = await cli(['gc-check', '--help'])
    expect(one.stdout).to.contain('65').and.to.contain('damage found')
  })

  it('shows the main job in its demo', () => {
    const {status, stderr, stdout} = script('demo.js')
    expect(status, stderr).to.equal(0)
    expect(stdout).to.match(/\$ kloset-oci gc-check \S+\n[\s\S]*\(exit 0\)[\s\S]*\$ rm [\s\S]*\(exit 65\)/)
  })
})
