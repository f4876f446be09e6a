/**
 * Stores of very many blobs: what `verify --tier data`, `gc-check --references` and `du --blobs` take of seconds and of
 * memory. With `--damage` every fifth packfile is damaged: one bit of it, its second half, or all of it.
 *
 * Run: npm run build && node --import tsx/esm bench/blobs.ts [--damage] [--keep DIR] [MILLIONS,MILLIONS...] [PROGRAM]
 */
import {spawn} from 'node:child_process'
import {existsSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {parseArgs} from 'node:util'

import {writeBlobStore} from './lib/blob-store.js'
import {measuredEnv} from './lib/measure.js'
import {OURS} from './lib/programs.js'

const {positionals, values} = parseArgs({
  allowPositionals: true,
  options: {damage: {default: false, type: 'boolean'}, keep: {type: 'string'}},
})
const [millionsList = '1,4', program = OURS] = positionals
const {damage, keep} = values

const COMMANDS = [
  ['verify', '--tier', 'data'],
  ['gc-check', '--references'],
  ['du', '--blobs'],
]

/** What a run took; of a damaged store a check ends with 65. */
async function run([command, ...flags]: readonly string[], layout: string): Promise<string> {
  const args = [program, command!, `oci-layout:${layout}`, ...flags]
  const child = spawn('/usr/bin/time', ['-f', '@@ %e %U %S %M', process.execPath, ...args], {
    env: measuredEnv(),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-10_000)
  })
  const status = await new Promise<null | number>((resolve) => {
    child.once('close', resolve)
  })
  const [elapsed, user, system, peak] = /@@ (.*)/.exec(errors)?.[1]?.split(' ').map(Number) ?? []
  if (status !== 0 && !(damage && status === 65)) throw new Error(`it ended with ${status}: ${errors.slice(-1000)}`)
  return `${elapsed} s, ${(user! + system!).toFixed(1)} s of CPU, peak RSS ${Math.round(peak! / 1024)} MiB`
}

for (const millions of millionsList.split(',').map(Number)) {
  const dir = keep ?? mkdtempSync(join(tmpdir(), 'kloset-oci-bench-'))
  try {
    const layout = join(dir, `${millions}${damage ? '-damaged' : ''}.oci`)
    if (!existsSync(layout)) await writeBlobStore({damage, layout, millions})
    for (const command of COMMANDS) {
      console.log(`${millions} million blobs, ${command.join(' ')}: ${await run(command, layout)}`)
    }
  } finally {
    if (keep === undefined) rmSync(dir, {force: true, recursive: true})
  }
}
