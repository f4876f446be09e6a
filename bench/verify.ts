/**
 * `verify` beside `plakar check` on the same store in a folder (and through the official plugin, where it is there), and
 * beside `restic check --read-data` on a repository of the same data: seconds, processor seconds and peak memory of each
 * program as a whole, its start included.
 * Run: npm run build && KLOSET_OCI_PLAKAR=… node --import tsx/esm bench/verify.ts [rounds] [MiB]
 */
import {spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import type {Mac} from '../src/kloset/mac.js'

import {KlosetStore} from '../src/kloset/store.js'
import {openRepository} from '../src/registry/open.js'
import {bufferSource} from '../src/util/content-source.js'
import {FsStore} from '../test/helpers/fs-store.js'
import {findPlakar, type Plakar, startPlakar} from '../test/helpers/plakar.js'

const ROUNDS = Number(process.argv[2] ?? 3)
const MIB = Number(process.argv[3] ?? 256)
const PASSPHRASE = 'a passphrase for measuring 4711'
const PROGRAM = new URL('../bin/run.js', import.meta.url).pathname

interface Run {
  readonly cpu: number
  readonly rss: number
  readonly seconds: number
}

interface Contender {
  readonly args: readonly string[]
  readonly command: string
  readonly env?: NodeJS.ProcessEnv
  readonly name: string
}

/** Half of the bytes compress, as backups do; a third of the files are small. */
function writeData(root: string): void {
  const words = readFileSync(new URL('../node_modules/typescript/lib/typescript.js', import.meta.url))
  for (let folder = 0; folder < 64; folder++) {
    const dir = join(root, `folder-${folder}`)
    mkdirSync(dir, {recursive: true})
    for (let file = 0; file < 64; file++) {
      const start = (folder * 64 + file) * 1999
      writeFileSync(
        join(dir, `small-${file}.txt`),
        `${folder} ${file}\n${words.subarray(start, start + 4096).toString('latin1')}`,
      )
    }

    const large = Math.floor(((MIB - 16) * 1024 * 1024) / 64 / 2)
    const texts = Array.from({length: Math.ceil(large / 65_536)}, (_, index) => {
      const start = ((folder * 31 + index * 17) * 4099) % (words.length - 65_536)
      return Buffer.concat([Buffer.from(`${folder} ${index} `), words.subarray(start, start + 65_520)])
    })
    writeFileSync(join(dir, 'large.txt'), Buffer.concat(texts))
    writeFileSync(join(dir, 'large.bin'), randomBytes(large))
  }
}

/** Runs a program to its end and reads from the system what it took. */
async function measure({args, command, env}: Contender): Promise<Run> {
  const start = performance.now()
  const child = spawn('/usr/bin/time', ['-f', '@@ %U %S %M', command, ...args], {
    env: {...process.env, ...env},
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const status = await new Promise<null | number>((resolve) => {
    child.once('close', resolve)
  })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${errors.slice(-1000)}`)
  const [user = '0', system = '0', rss = '0'] = /@@ (.*)/.exec(errors)?.[1]?.split(' ') ?? []
  return {cpu: Number(user) + Number(system), rss: Number(rss) / 1024, seconds: (performance.now() - start) / 1000}
}

async function compare(title: string, contenders: readonly Contender[]): Promise<void> {
  const runs = new Map<string, Run[]>(contenders.map(({name}) => [name, []]))
  for (let round = 0; round <= ROUNDS; round++) {
    for (const contender of contenders) {
      const run = await measure(contender)
      if (round > 0) runs.get(contender.name)!.push(run)
    }
  }

  const median = (name: string, of: (run: Run) => number) => {
    const sorted = runs
      .get(name)!
      .map((run) => of(run))
      .sort((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)]!
  }

  const first = contenders[0]!.name
  console.log(`\n| ${title} | seconds | processor | peak memory | time against ours |\n|---|---|---|---|---|`)
  for (const {name} of contenders) {
    const ratio = median(name, ({seconds}) => seconds) / median(first, ({seconds}) => seconds)
    console.log(
      `| ${name} | ${median(name, ({seconds}) => seconds).toFixed(2)} | ${median(name, ({cpu}) => cpu).toFixed(2)} | ${median(name, ({rss}) => rss).toFixed(0)} MiB | ${ratio.toFixed(2)} |`,
    )
  }
}

/** The store of a folder, object by object, as an image layout. */
async function copyToLayout(root: string, layout: string, passphrase?: string): Promise<number> {
  const source = await FsStore.open(root, passphrase)
  const repository = await openRepository(`oci-layout:${layout}`, {create: true, durable: false})
  const store = new KlosetStore(repository)
  await store.putConfig(readFileSync(join(root, 'CONFIG')))
  let bytes = 0
  for (const [kind, resource] of [
    ['packfiles', 'packfile'],
    ['states', 'state'],
  ] as const) {
    for (const mac of source.list(kind)) {
      const content = readFileSync(source.pathOf(kind, mac as Mac))
      bytes += content.length
      await store.put(resource, mac as Mac, bufferSource(content))
    }
  }

  await store.close()
  return bytes
}

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
    args: [PROGRAM, 'verify', `oci-layout:${layout}`, '--tier', tier, '--no-progress'],
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
  writeData(data)
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

    await compare(passphrase === undefined ? 'plaintext' : 'encrypted', contenders)
  }
} finally {
  await plakar.close()
  rmSync(dir, {force: true, recursive: true})
}
