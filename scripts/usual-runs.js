import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'

import {ROOT} from './bundle.js'

const LEARN = join(ROOT, 'scripts', 'learn.cjs')
const GOLDEN = join(ROOT, 'test', 'fixtures', 'plaintext.oci')
const RUN_MS = 60_000

/** The first MAC of a store's packfiles, which `ls` prints. */
const MAC = /\b[\da-f]{64}\b/

/** Nothing of the machine's: no logins, no proxy, no cache. */
function environment(home) {
  const {PATH} = process.env
  return {HOME: home, NODE_DISABLE_COMPILE_CACHE: '1', PATH}
}

async function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}

/**
 * Runs the usual commands of a bundle once each, on a store in a folder and on one in a registry, so that their functions
 * are in the compiled form beside it. A command that fails is no failure: its functions are compiled when they are needed.
 * @param {string} script path of the bundle
 */
export async function runUsual(script) {
  const home = mkdtempSync(join(tmpdir(), 'kloset-oci-build-'))
  const begin = (args) =>
    spawn(process.execPath, [LEARN, script, ...args], {
      cwd: home,
      env: environment(home),
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: RUN_MS,
    })
  const run = async (...args) => {
    const child = begin(args)
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
    })
    await once(child, 'close')
    return output
  }

  try {
    await run('--version')
    const layout = `oci-layout:${existsSync(GOLDEN) ? GOLDEN : join(home, 'store')}`
    await run('create', `oci-layout:${join(home, 'store')}`, '--plaintext')
    const serve = async () => {
      const server = begin(['serve', join(home, 'registry'), '--listen', '127.0.0.1:0', '--json'])
      const [line] = await once(createInterface({input: server.stdout}), 'line')
      return {host: new URL(JSON.parse(line).url).host, server}
    }

    // Once to its end for its own functions, and once for those of others: what it wrote then would lack theirs.
    await end((await serve()).server, 'SIGTERM')
    const {host, server} = await serve()
    try {
      for (const store of [layout, `oci://${host}/a`]) {
        await run('copy', store, store === layout ? `oci://${host}/a` : `oci://${host}/b`)
        const [mac = '0'.repeat(64)] = MAC.exec(await run('ls', store, 'packfile')) ?? []
        const object = join(home, mac)
        await run('get', store, 'packfile', mac, '--output', object)
        await run('put', store, 'packfile', mac, object)
        for (const command of ['gc-check', 'verify', 'info']) await run(command, store)
      }
    } finally {
      await end(server, 'SIGKILL')
    }
  } finally {
    rmSync(home, {force: true, recursive: true})
  }
}
