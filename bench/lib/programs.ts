import {spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Mac} from '../../src/kloset/mac.js'

import {KlosetStore} from '../../src/kloset/store.js'
import {openRepository} from '../../src/registry/open.js'
import {bufferSource} from '../../src/util/content-source.js'
import {FsStore} from '../../test/helpers/fs-store.js'
import {measuredEnv} from './measure.js'
import {markdownTable, median} from './report.js'

/** This program, as it was built. */
export const OURS = new URL('../../bin/run.js', import.meta.url).pathname

interface Run {
  readonly cpu: number
  readonly rss: number
  readonly seconds: number
}

/** A program as it is measured. */
export interface Contender {
  readonly args: readonly string[]
  /** Called before each run, which is not measured with it. */
  readonly before?: () => void
  readonly command: string
  readonly env?: NodeJS.ProcessEnv
  readonly name: string
  /** With which a good run ends, default 0 alone. */
  readonly statuses?: readonly number[]
}

/** Half of the bytes compress, as backups do; a third of the files are small. */
export function writeData(root: string, mib: number): void {
  const words = readFileSync(new URL('../../node_modules/typescript/lib/typescript.js', import.meta.url))
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

    const large = Math.floor(((mib - 16) * 1024 * 1024) / 64 / 2)
    const texts = Array.from({length: Math.ceil(large / 65_536)}, (_, index) => {
      const start = ((folder * 31 + index * 17) * 4099) % (words.length - 65_536)
      return Buffer.concat([Buffer.from(`${folder} ${index} `), words.subarray(start, start + 65_520)])
    })
    writeFileSync(join(dir, 'large.txt'), Buffer.concat(texts))
    writeFileSync(join(dir, 'large.bin'), randomBytes(large))
  }
}

/** Runs a program to its end, which has to be a good one, and reads from the system what it took. */
export async function measure({args, command, env, statuses = [0]}: Contender): Promise<Run> {
  const start = performance.now()
  const child = spawn('/usr/bin/time', ['-f', '@@ %U %S %M', command, ...args], {
    env: measuredEnv(env),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-10_000)
  })
  const status = await new Promise<null | number>((resolve) => {
    child.once('close', resolve)
  })
  if (!statuses.includes(status ?? -1))
    throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${errors.slice(-1000)}`)
  const [user = '0', system = '0', rss = '0'] = /@@ (.*)/.exec(errors)?.[1]?.split(' ') ?? []
  return {cpu: Number(user) + Number(system), rss: Number(rss) / 1024, seconds: (performance.now() - start) / 1000}
}

export async function compare(title: string, contenders: readonly Contender[], rounds: number): Promise<void> {
  const runs = new Map<string, Run[]>(contenders.map(({name}) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const contender of contenders) {
      contender.before?.()
      const run = await measure(contender)
      if (round > 0) runs.get(contender.name)!.push(run)
    }
  }

  const middle = (name: string, of: (run: Run) => number) => median(runs.get(name)!.map((run) => of(run)))
  const base = middle(contenders[0]!.name, ({seconds}) => seconds)
  const rows = contenders.map(({name}) => {
    const seconds = middle(name, (run) => run.seconds)
    const [cpu, rss] = [middle(name, (run) => run.cpu), middle(name, (run) => run.rss)]
    return [name, seconds.toFixed(2), cpu.toFixed(2), `${rss.toFixed(0)} MiB`, (seconds / base).toFixed(2)]
  })
  console.log(`\n${markdownTable([title, 'seconds', 'processor', 'peak memory', 'time against ours'], rows)}`)
}

/** The store of a folder, object by object, as an image layout. */
export async function copyToLayout(root: string, layout: string, passphrase?: string): Promise<number> {
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
