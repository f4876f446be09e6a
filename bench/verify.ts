/**
 * `verify` beside `plakar check` on the same store in a folder (and through the official plugin, where it is there), and
 * beside `restic check --read-data` on a repository of the same data: seconds, processor seconds and peak memory of each
 * program as a whole, its start included.
 * Run: npm run build && KLOSET_OCI_PLAKAR=… node --import tsx/esm bench/verify.ts [rounds] [MiB]
 */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {findPlakar, type Plakar, startPlakar} from '../test/helpers/plakar.js'
import {compare, type Contender, copyToLayout, measure, OURS, writeData} from './lib/programs.js'

const ROUNDS = Number(process.argv[2] ?? 3)
const MIB = Number(process.argv[3] ?? 256)
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
} finally {
  await plakar.close()
  rmSync(dir, {force: true, recursive: true})
}
