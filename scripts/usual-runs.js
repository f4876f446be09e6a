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
    const [made, layout] = ['made', 'store'].map((name) => `oci-layout:${join(home, name)}`)
    await run('create', made, '--plaintext')
    await run('copy', existsSync(GOLDEN) ? `oci-layout:${GOLDEN}` : made, layout)
    const serve = async () => {
      const server = begin(['serve', join(home, 'registry'), '--listen', '127.0.0.1:0', '--json'])
      const [line] = await Promise.race([
        once(createInterface({input: server.stdout}), 'line'),
        once(server, 'close').then(() => ['']),
      ])
      if (!line.includes('"url"')) throw new Error('no registry to try them on')
      return {host: new URL(JSON.parse(line).url).host, server}
    }

    // Once to its end for its own functions, and once for those of others: what it wrote then would lack theirs.
    await end((await serve()).server, 'SIGTERM')
    const {host, server} = await serve()
    try {
      for (const store of [layout, `oci://${host}/a`]) {
        await run('copy', store, store === layout ? `oci://${host}/a` : `oci://${host}/b`)
        const [mac = 'none'] = MAC.exec(await run('ls', store, 'packfile')) ?? []
        const object = join(home, mac)
        await run('get', store, 'packfile', mac, '--output', object)
        await run('put', store, 'packfile', mac, object)
        for (const command of ['gc-check', 'verify', 'info']) await run(command, store)
      }
    } finally {
      await end(server, 'SIGKILL')
    }
  } catch (error) {
    // Nothing depends on it but the speed of the first starts.
    console.warn(`not all usual commands could be run: ${error.message}`)
  } finally {
    rmSync(home, {force: true, recursive: true})
  }
}
