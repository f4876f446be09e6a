/**
 * The main job in a minute: a store made by plakar is read, checked, damaged and checked again. It works on a copy in
 * a scratch folder and prints every command before it runs it. Status 0 when all went as told.
 */
import {spawnSync} from 'node:child_process'
import {cpSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const program = join(root, 'bin', 'run.js')
const scratch = mkdtempSync(join(tmpdir(), 'kloset-oci-demo-'))
const store = 'oci-layout:store.oci'

/** Runs a command of ours, shows both, and insists on its status. */
function run(args, expected) {
  console.log(`\n$ kloset-oci ${args.join(' ')}`)
  const {status} = spawnSync(process.execPath, [program, ...args], {
    cwd: scratch,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  console.log(`(exit ${status})`)
  if (status !== expected) throw new Error(`expected exit ${expected}, not ${status}`)
}

/** The digest of the packfile, asked from the program itself. */
function packfileDigest() {
  const {stdout} = spawnSync(process.execPath, [program, 'ls', store, 'packfile', '--long', '--json'], {
    cwd: scratch,
    encoding: 'utf8',
  })
  return JSON.parse(stdout).objects[0].digest
}

try {
  console.log('A plaintext store of two snapshots, as plakar 1.1.4 wrote it, copied into a scratch folder.')
  cpSync(join(root, 'test', 'fixtures', 'plaintext.oci'), join(scratch, 'store.oci'), {recursive: true})

  run(['info', store], 0)
  run(['ls', store, '--long'], 0)
  run(['gc-check', store], 0)

  const blob = join('store.oci', 'blobs', ...packfileDigest().split(':'))
  console.log("\nNow the registry's garbage collection takes a blob that is still in use:")
  console.log(`\n$ rm ${blob}`)
  rmSync(join(scratch, blob))

  run(['gc-check', store], 65)

  console.log('\nThat is the main job: the loss was found, named, and told to scripts by exit code 65.')
} catch (error) {
  console.error(`demo: ${error.message}`)
  process.exitCode = 1
} finally {
  rmSync(scratch, {force: true, recursive: true})
}
