import {expect} from 'chai'
import {existsSync, readFileSync, writeFileSync} from 'node:fs'
import {delimiter, join} from 'node:path'

import {cli} from '../../helpers/cli.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {scratchDir} from '../../helpers/hooks.js'
import {findPeer} from '../../helpers/peers.js'
import {findPlakar} from '../../helpers/plakar.js'
import {pluginBundle} from '../../helpers/plugin-package.js'
import {script} from '../../helpers/script.js'
import {macSections, placelessLinuxProgram, tinyMacProgram} from '../../helpers/tiny-program.js'

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:'
/** Node programs of other platforms, of the version that runs the tests, as a list like PATH. */
const FOREIGN = (process.env['KLOSET_OCI_FOREIGN_NODES'] ?? '').split(delimiter).filter(Boolean)

interface Packed {
  readonly executable: string
  readonly package?: string
  readonly platform: string
  readonly signed?: boolean
}

describe('plugin pack --standalone for another platform', () => {
  let bundle: Buffer
  let dir: string

  before(async () => {
    bundle = readFileSync((await pluginBundle()).script)
  })

  beforeEach(() => {
    dir = join(scratchDir('pack'), 'files')
  })

  async function pack(platform: string, node: string, ...more: string[]) {
    return cli(['plugin', 'pack', '--standalone', '--platform', platform, '--node', node, '-o', dir, ...more])
  }

  function programOf(bytes: Buffer): string {
    const path = join(scratchDir('node'), 'node')
    writeFileSync(path, bytes, {mode: 0o755})
    return path
  }

  /** The script is where Node looks for it on a Mac, and Node is told to look. */
  function expectInside(program: Buffer): void {
    const found = macSections(program).filter(({segment}) => segment === 'NODE_SEA')
    expect(found.map(({name}) => name)).to.deep.equal(['__NODE_SEA_BLOB'])
    expect(found[0]!.content.includes(bundle)).to.equal(true)
    expect([program.includes(`${FUSE}0`), program.includes(`${FUSE}1`)]).to.deep.equal([false, true])
  }

  for (const arch of ['amd64', 'arm64'] as const) {
    it(`macos/${arch}: puts the script where Node looks for it, and says that it has to be signed`, async () => {
      const {json, status, stderr, stdout} = await pack(`macos/${arch}`, programOf(tinyMacProgram(arch)), '--json')
      expect(status, stderr + stdout).to.equal(0)
      const {executable, platform, signed} = json<Packed>()
      expect(platform).to.equal(`darwin/${arch}`)
      expectInside(readFileSync(executable))
      expect(signed).to.equal(process.platform === 'darwin')
    })
  }

  it('names what has to be run on a Mac, in its order', async function () {
    if (process.platform === 'darwin') this.skip()
    const plakar = script('plakar', '[ "$1" = pkg ] && echo made >"$4"; exit 0')
    const {status, stderr} = await pack('macos/arm64', programOf(tinyMacProgram('arm64')), '--plakar', plakar)
    expect(status, stderr).to.equal(0)
    expect(stderr.replaceAll('\n', ' ')).to.match(
      /`codesign --sign - \S+kloset-oci-plugin`, then `plakar pkg create \S+manifest\.yaml v[\d.]+`/,
    )
  })

  it('leaves no program where there was no place for the script', async () => {
    const {status, stderr} = await pack('linux/arm64', programOf(placelessLinuxProgram()))
    expect(status).to.equal(1)
    expect(stderr).to.match(/standalone program could not be made|no place for the script/)
    expect(existsSync(join(dir, 'kloset-oci-plugin'))).to.equal(false)
  })

  it('makes programs and packages of the real Node of other platforms, and runs those that can be run', async function () {
    this.timeout(300_000)
    const nodes = FOREIGN.filter((path) => existsSync(path) && readFileSync(path).includes(process.version))
    if (nodes.length === 0) {
      process.stderr.write(`skipped: KLOSET_OCI_FOREIGN_NODES names no node ${process.version} of another platform\n`)
      this.skip()
    }

    const fake = await FakeRegistry.start()
    try {
      for (const node of nodes) {
        const head = readFileSync(node).subarray(0, 64)
        const isMac = head.readUInt32LE(0) === 0xfe_ed_fa_cf
        const arch = [0xb7, 0x1_00_00_0c].includes(isMac ? head.readUInt32LE(4) : head.readUInt16LE(18))
          ? 'arm64'
          : 'amd64'
        const platform = `${isMac ? 'darwin' : 'linux'}/${arch}`
        dir = join(scratchDir('pack'), 'files')
        const plakar = findPlakar()
        const made = await pack(platform, node, ...(plakar === undefined ? [] : ['--plakar', plakar]), '--json')
        expect(made.status, made.stderr + made.stdout).to.equal(0)
        const {executable, package: file} = made.json<Packed>()
        if (plakar !== undefined)
          expect(file).to.match(new RegExp(`/oci_v[\\d.]+_${platform.replace('/', '_')}\\.ptar$`))
        if (isMac) expectInside(readFileSync(executable))
        const emulator = isMac ? undefined : findPeer(arch === 'arm64' ? 'qemu-aarch64-static' : 'qemu-x86_64-static')
        if (emulator === undefined) {
          process.stderr.write(`not run: ${platform} (made of ${node})\n`)
          continue
        }

        // QEMU_LD_PREFIX says where that platform's libraries are.
        const launcher = script('plugin', `exec ${emulator} ${executable} "$@"`)
        const {stderr, stdout} = await cli(['plugin', `oci://${fake.host}/a/b`, '--executable', launcher])
        expect(stdout, stderr).to.match(/^ok +Init/)
      }
    } finally {
      await fake.stop()
    }
  })
})
