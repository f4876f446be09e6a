import {expect} from 'chai'
import {spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../../helpers/cli.js'
import {scratchDir} from '../../helpers/hooks.js'
import {putLock} from '../../helpers/locks.js'
import {stopPeers} from '../../helpers/peers.js'
import {findOfficialPlugin, findPlakar, type Plakar, startPlakar} from '../../helpers/plakar.js'
import {startRegistry} from '../../helpers/registries.js'

const MINUTE = 60_000

interface Locks {
  readonly locks: {
    action?: string
    ageMs: number
    blocks?: {backups: boolean; maintenance: boolean}
    hostname: string
    mac: string
    mode: string
    state: string
  }[]
}

const locks = async (command: string, store: string, ...flags: string[]) =>
  (await cli(['locks', command, store, '--json', ...flags])).json<Locks>().locks

/** Starts a backup and kills it, with its plugin, as soon as its lock is there. */
async function killBackup(program: string, home: string, location: string, source: string) {
  const child = spawn(program, ['at', location, 'backup', source], {
    cwd: home,
    detached: true,
    env: {HOME: home, PATH: process.env['PATH'], TMPDIR: join(home, 't')},
    stdio: 'ignore',
  })
  const ended = new Promise((resolve) => {
    child.once('close', resolve)
  })
  try {
    for (let tries = 0; tries < 100 && child.exitCode === null; tries++) {
      const found = await locks('ls', location)
      if (found.length > 0) return
    }
  } finally {
    // All of its group: plakar and the plugin that it started.
    process.kill(-child.pid!, 'SIGKILL')
    await ended
  }
}

describe("locks that plakar's processes leave behind", function () {
  this.timeout(240_000)
  let plakar: Plakar | undefined

  afterEach(async () => {
    await plakar?.close()
    plakar = undefined
    await stopPeers()
  })

  it('are listed and explained, block maintenance, and are removed once stale: plakar works on', async function () {
    const [program, plugin] = [findPlakar(), findOfficialPlugin()]
    if (!program || !plugin) {
      const missing = program ? 'KLOSET_OCI_OFFICIAL_PLUGIN names no package' : 'plakar is not there'
      if ((process.env['KLOSET_OCI_REQUIRE_PEERS'] ?? '').split(/[\s,]+/).includes('plakar')) throw new Error(missing)
      process.stderr.write(`skipped: ${missing}\n`)
      this.skip()
    }

    plakar = await startPlakar(program, plugin)
    const {host} = await startRegistry(this, 'registry2')
    const location = `oci://${host}/org/store`
    expect((await cli(['create', location, '--plaintext'])).status).to.equal(0)
    const source = scratchDir('source')
    for (let file = 0; file < 96; file++) writeFileSync(join(source, `file-${file}`), randomBytes(2 ** 20))
    await killBackup(program, plakar.home, location, source)

    const [left, ...others] = await locks('ls', location)
    expect(others).to.deep.equal([])
    expect(left).to.include({mode: 'shared', state: 'fresh'})
    expect(left!.ageMs).to.be.lessThan(5 * MINUTE)
    const [explained] = await locks('explain', location, left!.mac)
    expect(explained!.blocks).to.deep.equal({backups: false, maintenance: true})
    const refused = await plakar.run(['at', location, 'maintenance'])
    expect(refused.stdout + refused.stderr).to.match(/already locked/)
    expect((await cli(['locks', 'rm', location, left!.mac, '--yes'])).status).to.equal(75)
    expect((await cli(['prune', location, '--json'])).json<{error: {code: string}}>().error.code).to.equal('LOCKED')

    // Ten minutes later.
    await putLock(location, 11 * MINUTE, {exclusive: false, hostname: left!.hostname, mac: left!.mac})
    const [stale] = await locks('ls', location)
    expect(stale).to.include({hostname: left!.hostname, mac: left!.mac, state: 'stale'})
    const [removed] = await locks('rm', location, '--yes')
    expect(removed).to.include({action: 'removed', mac: left!.mac})
    expect(await locks('ls', location)).to.deep.equal([])

    await plakar.run(['at', location, 'backup', source])
    const checked = await plakar.run(['at', location, 'check'])
    expect(checked.status, checked.stderr).to.equal(0)
    const listed = await plakar.run(['at', location, 'ls'])
    expect(listed.stdout.trim().split('\n')).to.have.length(1)
    const maintained = await plakar.run(['at', location, 'maintenance'])
    expect(maintained.status, maintained.stderr).to.equal(0)
    expect((await cli(['gc-check', location])).status).to.equal(0)
  })
})
