/**
 * `verify` beside `plakar check` on the same store in a folder, and beside `restic check --read-data` on a repository of
 * the same data: seconds, processor seconds and peak memory of each program as a whole, its start included. Then
 * `verify` of a store in a registry beside `plakar check` of it through the official plugin, where
 * KLOSET_OCI_OFFICIAL_PLUGIN names its package and `registry` is on PATH: of fewer files, as it makes two requests for
 * each range and one after the other.
 * Run: npm run build && KLOSET_OCI_PLAKAR=… node --import tsx/esm bench/verify.ts [rounds] [MiB]
 */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {findPeer, stopPeers} from '../test/helpers/peers.js'
import {findOfficialPlugin, findPlakar, type Plakar, startPlakar} from '../test/helpers/plakar.js'
import {launchRegistry, PROGRAMS} from '../test/helpers/registries.js'
import {writeFiles} from './lib/files.js'
import {compare, type Contender, copyToLayout, measure, OURS, writeData} from './lib/programs.js'

const ROUNDS = Number(process.argv[2] ?? 3)
const MIB = Number(process.argv[3] ?? 256)
const REGISTRY_FILES = 4000
const REGISTRY_MIB = 48
const PASSPHRASE = 'a passphrase for measuring 4711'

async function prepare(
  plakar: Plakar,
  dir: string,
  data: string,
  passphrase?: string,
): Promise<{layout: string; root: string}> {
  const name = passphrase === undefined ? 'plaintext' : 'encrypted'
  const root = join(dir, name)
  const layout = join(dir, `${name}.oci`)
  const create = passphrase === undefined ? ['create', '-plaintext'] : ['create']
  for (const args of [create, ['backup', data]]) {
    const {status, stderr, stdout} = await plakar.run(['at', root, ...args], {passphrase})
    if (status !== 0) throw new Error(`plakar ${args.join(' ')}: ${stdout}${stderr}`)
  }

  const bytes = await copyToLayout(root, layout, passphrase)
  console.log(`${name}: ${(bytes / 1024 / 1024).toFixed(0)} MiB stored`)
  return {layout, root}
}

function ours(tier: string, layout: string, env: NodeJS.ProcessEnv): Contender {
  return {
    args: [OURS, 'verify', `oci-layout:${layout}`, '--tier', tier, '--no-progress'],
    command: process.execPath,
    env,
    name: `verify --tier ${tier}`,
  }
}

/** Both read the same store from the same registry. The processor's seconds of plakar's plugin are not counted. */
async function besideOfficial(program: string, dir: string): Promise<void> {
  const [plugin, registry] = [findOfficialPlugin(), findPeer(PROGRAMS.registry3)]
  if (!plugin || !registry) {
    console.log('\nofficial plugin: left out, it is not there or no registry is')
    return
  }

  const {host} = await launchRegistry('registry3', registry)
  const plakar = await startPlakar(program, plugin)
  try {
    const data = join(dir, 'files')
    writeFiles(data, REGISTRY_FILES, REGISTRY_MIB)
    const store = `oci://${host}/bench/verify`
    for (const args of [
      ['create', '-plaintext'],
      ['backup', data],
    ]) {
      const {status, stderr, stdout} = await plakar.run(['at', store, ...args])
      if (status !== 0) throw new Error(`plakar ${args.join(' ')}: ${stdout}${stderr}`)
    }

    const env = {HOME: plakar.home}
    const verify = ['verify', store, '--tier', 'data', '--no-progress']
    await compare(
      `${REGISTRY_FILES} files of ${REGISTRY_MIB} MiB in a registry`,
      [
        {args: [OURS, ...verify], command: process.execPath, env, name: 'verify --tier data'},
        {args: ['at', store, 'check'], command: program, env, name: 'plakar check, official plugin'},
      ],
      1,
    )
  } finally {
    await plakar.close()
    await stopPeers()
  }
}

const program = findPlakar()
if (!program) throw new Error('plakar is needed: set KLOSET_OCI_PLAKAR')
const dir = mkdtempSync(join(tmpdir(), 'kloset-oci-bench-'))
const plakar = await startPlakar(program)
try {
  const data = join(dir, 'data')
  writeData(data, MIB)
  for (const passphrase of [undefined, PASSPHRASE]) {
    const {layout, root} = await prepare(plakar, dir, data, passphrase)
    const env = {HOME: plakar.home, PLAKAR_PASSPHRASE: passphrase}
    const contenders: Contender[] = [
      ours('data', layout, env),
      ours('mac', layout, env),
      ours('digest', layout, env),
      {args: ['at', root, 'check'], command: program, env, name: 'plakar check, fs://'},
    ]
    if (passphrase !== undefined && process.env['PATH']) {
      const repository = join(dir, 'restic')
      const restic = {
        RESTIC_CACHE_DIR: join(dir, 'restic-cache'),
        RESTIC_PASSWORD: PASSPHRASE,
        RESTIC_REPOSITORY: repository,
      }
      for (const args of [['init'], ['backup', data]])
        await measure({args, command: 'restic', env: restic, name: 'restic'})
      contenders.push({
        args: ['check', '--read-data'],
        command: 'restic',
        env: restic,
        name: 'restic check --read-data',
      })
    }

    await compare(passphrase === undefined ? 'plaintext' : 'encrypted', contenders, ROUNDS)
  }

  await besideOfficial(program, dir)
} finally {
  await plakar.close()
  rmSync(dir, {force: true, recursive: true})
}
