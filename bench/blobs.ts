/**
 * Stores of very many blobs: what `verify --tier data`, `gc-check --references` and `du --blobs` take of seconds and of
 * memory. With `--damage` every fifth packfile is damaged: one bit of it, its second half, or all of it.
 *
 * Run: npm run build && node --import tsx/esm bench/blobs.ts [--damage] [--keep DIR] [MILLIONS,MILLIONS...] [PROGRAM]
 */
import {existsSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {parseArgs} from 'node:util'

import {writeBlobStore} from './lib/blob-store.js'
import {measure, OURS} from './lib/programs.js'

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
  const statuses = damage ? [0, 65] : [0]
  const {cpu, rss, seconds} = await measure({args, command: process.execPath, name: command!, statuses})
  return `${seconds.toFixed(2)} s, ${cpu.toFixed(1)} s of CPU, peak RSS ${rss.toFixed(0)} MiB`
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
