/**
 * `snapshot restore` beside `plakar restore` of the same snapshot: seconds, processor seconds and peak memory of each
 * program as a whole, its start included. From the folder (`fs://`) that plakar wrote and an image layout of the same
 * objects; and from one registry, where `registry` is on PATH, plakar through the official plugin where there is one.
 * Run: npm run build && KLOSET_OCI_PLAKAR=… node --import tsx/esm bench/restore.ts [rounds] [MiB]
 */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {removeScratch} from '../test/helpers/hooks.js'
import {startRegistry} from '../test/helpers/peer-registries.js'
import {findPeer, stopPeers} from '../test/helpers/peers.js'
import {findOfficialPlugin, findPlakar, type Plakar, startPlakar} from '../test/helpers/plakar.js'
import {compare, type Contender, copyToLayout, measure, OURS, writeData} from './lib/programs.js'

const ROUNDS = Number(process.argv[2] ?? 3)
const MIB = Number(process.argv[3] ?? 200)
const PASSPHRASE = 'a passphrase for measuring 4711'

const program = findPlakar()
if (!program) throw new Error('plakar is needed: set KLOSET_OCI_PLAKAR')
const dir = mkdtempSync(join(tmpdir(), 'kb-'))
const target = join(dir, 'restored')
const official = findOfficialPlugin()
const plakar = await startPlakar(program, official)
try {
  const data = join(dir, 'data')
  writeData(data, MIB)
  const registry = findPeer('registry')
  const host = registry === undefined ? undefined : await startRegistry('registry', registry)
  for (const passphrase of [undefined, PASSPHRASE]) await one(plakar, {data, host, passphrase})
} finally {
  await plakar.close()
  await stopPeers()
  removeScratch()
  rmSync(dir, {force: true, recursive: true})
}

function clear(): void {
  rmSync(target, {force: true, recursive: true})
}

async function one(
  user: Plakar,
  {
    data,
    host,
    passphrase,
  }: {readonly data: string; readonly host: string | undefined; readonly passphrase?: string | undefined},
): Promise<void> {
  const kind = passphrase === undefined ? 'plaintext' : 'encrypted'
  const root = join(dir, kind)
  for (const args of [passphrase === undefined ? ['create', '-plaintext'] : ['create'], ['backup', data]]) {
    const {status, stderr, stdout} = await user.run(['at', root, ...args], {passphrase})
    if (status !== 0) throw new Error(`plakar ${args.join(' ')}: ${stdout}${stderr}`)
  }

  const layout = `oci-layout:${join(dir, `${kind}.oci`)}`
  const bytes = await copyToLayout(root, join(dir, `${kind}.oci`), passphrase)
  console.log(`${kind}: ${(bytes / 1024 / 1024).toFixed(0)} MiB stored`)
  const listed = await user.run(['at', root, 'ls', '-uuid'], {passphrase})
  const [snapshot = ''] = /\b[\da-f]{64}\b/.exec(listed.stdout) ?? []
  const env = {HOME: user.home, PLAKAR_PASSPHRASE: passphrase}
  const ours = (store: string, name: string): Contender => ({
    args: [OURS, 'snapshot', 'restore', store, snapshot, '--to', target, '--no-progress'],
    before: clear,
    command: process.execPath,
    env,
    name: `snapshot restore, ${name}`,
  })
  const theirs = (store: string, name: string): Contender => ({
    args: ['at', store, 'restore', '-to', target, snapshot],
    before: clear,
    command: program!,
    env,
    name: `plakar restore, ${name}`,
  })
  await compare(kind, [ours(layout, 'image layout'), theirs(root, 'fs://')], ROUNDS)
  if (host === undefined) return
  const store = `oci://${host}/bench/${kind}`
  await measure({args: [OURS, 'copy', layout, store], command: process.execPath, env, name: 'copy'})
  const plugin = official === undefined ? [] : [theirs(store, 'the official plugin')]
  await compare(`${kind}, from a registry`, [ours(store, 'registry'), ...plugin], ROUNDS)
}
