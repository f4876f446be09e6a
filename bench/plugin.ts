/**
 * backup, check and restore with plakar: through this plugin, the official one, and into a plain `fs://` store; the same
 * files, the same registry (distribution 3), in one run, in turn. Then again with a round trip of 20 ms before every
 * request. Needs plakar (KLOSET_OCI_PLAKAR or PATH) and `registry` on PATH; the official plugin where
 * KLOSET_OCI_OFFICIAL_PLUGIN names its package.
 *
 * Run: npm run build && node --import tsx/esm bench/plugin.ts [--files 10000] [--mib 110] [--rounds 1] [--delay 20]
 *      [--sample 100] [--no-official] [--no-delay] [--beside NAME=PACKAGE]
 *
 * --beside adds another plugin for `oci://` to the first part: one that answers from a folder or from memory shows what
 * plakar's way to any plugin costs by itself.
 */
import {existsSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {performance} from 'node:perf_hooks'
import {parseArgs} from 'node:util'

import {removeScratch} from '../test/helpers/hooks.js'
import {findPeer, stopPeers} from '../test/helpers/peers.js'
import {findOfficialPlugin, findPlakar, type Plakar, startPlakar} from '../test/helpers/plakar.js'
import {pluginPackage} from '../test/helpers/plugin-package.js'
import {copySample, expectSameFiles, writeFiles} from './lib/files.js'
import {firstInit, installedPlugin} from './lib/first-init.js'
import {type MeteredRegistry, startMeteredRegistry} from './lib/metered-registry.js'
import {startCountingProxy} from './lib/proxy.js'
import {markdownTable, median} from './lib/report.js'
import {watchPlugins} from './lib/watch.js'

const {values} = parseArgs({
  options: {
    beside: {default: [], multiple: true, type: 'string'},
    delay: {default: '20', type: 'string'},
    files: {default: '10000', type: 'string'},
    mib: {default: '110', type: 'string'},
    'no-delay': {default: false, type: 'boolean'},
    'no-official': {default: false, type: 'boolean'},
    rounds: {default: '1', type: 'string'},
    sample: {default: '100', type: 'string'},
    steps: {default: 'backup,check,restore', type: 'string'},
  },
})
const FILES = Number(values.files)
const MIB = Number(values.mib)
const ROUNDS = Number(values.rounds)
const DELAY_MS = Number(values.delay)
/** Files that the official plugin gets with the delay: it asks twice for every range, one after the other. */
const SAMPLE = Number(values.sample)

/** The official plugin takes minutes for some steps. */
const LIMIT_MS = 900_000

type Step = 'backup' | 'check' | 'restore'
const STEPS = (['backup', 'check', 'restore'] as const).filter((step) => values.steps.split(',').includes(step))

interface Contender {
  readonly name: string
  readonly plakar: Plakar
  /** A store that was never used. */
  store(host: string): string
}

interface Result {
  readonly cpu: number
  readonly peakMib: number
  readonly requests: number
  readonly seconds: number
}

type Results = Map<string, Map<Step, Result[]>>

const program = findPlakar()
const registryProgram = findPeer('registry')
if (!program || !registryProgram) throw new Error('plakar and registry have to be on PATH')
const folder = mkdtempSync(join(tmpdir(), 'kb-'))
const open: Plakar[] = []
let serial = 0

try {
  const source = join(folder, 'files')
  writeFiles(source, FILES, MIB)
  const registry = await startMeteredRegistry(registryProgram, folder)
  const ours = contender('kloset-oci', await plakarWith(await pluginPackage(program)))
  const fs: Contender = {
    name: 'fs://',
    plakar: await plakarWith(),
    store: () => `fs://${join(folder, fresh('fs'))}`,
  }
  const package_ = values['no-official'] ? undefined : findOfficialPlugin()
  const official = package_ === undefined ? undefined : contender('official', await plakarWith(package_))
  const others: Contender[] = []
  for (const [name, path] of besides()) others.push(contender(name, await plakarWith(path)))

  console.log(`${FILES} files, ${MIB} MiB, plaintext; two processes of plakar never run at the same time\n`)
  const near = await measure({
    contenders: [fs, ours, ...others, ...(official ? [official] : [])],
    host: registry.host,
    registry,
    source,
  })
  print(`registry on loopback, ${FILES} files`, near)
  await printInit([ours, ...(official ? [official] : [])], registry.host)

  if (!values['no-delay']) {
    const proxy = await startCountingProxy(registry.host, DELAY_MS)
    const far = await measure({contenders: [fs, ours], host: proxy.host, registry, source})
    print(`${DELAY_MS} ms before every request, ${FILES} files`, far)
    if (official) {
      const sample = join(folder, 'sample')
      copySample(source, sample, Math.ceil(SAMPLE / 100))
      const some = await measure({contenders: [fs, ours, official], host: proxy.host, registry, source: sample})
      print(`${DELAY_MS} ms before every request, a sample of ${SAMPLE} files`, some)
    }

    await proxy.close()
  }
} finally {
  for (const plakar of open) await plakar.close()
  await stopPeers()
  removeScratch()
  rmSync(folder, {force: true, maxRetries: 5, recursive: true})
}

function besides(): [name: string, path: string][] {
  return values.beside.map((text) => {
    const [name = '', path = ''] = text.split(/=(.*)/)
    if (!existsSync(path)) throw new Error(`--beside ${text}: not NAME=PACKAGE, or no such package`)
    return [name, path]
  })
}

function fresh(name: string): string {
  serial += 1
  return `${name}${serial}`
}

async function plakarWith(plugin?: string): Promise<Plakar> {
  const plakar = await startPlakar(program!, plugin)
  open.push(plakar)
  return plakar
}

function contender(name: string, plakar: Plakar): Contender {
  return {name, plakar, store: (host) => `oci://${host}/bench/${fresh('store')}`}
}

interface Measurement {
  readonly contenders: readonly Contender[]
  readonly host: string
  readonly registry: MeteredRegistry
  readonly source: string
}

/** Every contender does every step in turn, so that a drift of the machine's speed meets them all alike. */
async function measure({contenders, host, registry, source}: Measurement): Promise<Results> {
  const results: Results = new Map(
    contenders.map(({name}) => [name, new Map(STEPS.map((step) => [step, [] as Result[]]))]),
  )
  for (let round = 0; round < ROUNDS; round++) {
    const stores = new Map(contenders.map((each) => [each.name, each.store(host)]))
    for (const {name, plakar} of contenders) await succeed(plakar, ['at', stores.get(name)!, 'create', '-plaintext'])
    for (const step of STEPS) {
      for (const {name, plakar} of contenders) {
        const target = join(plakar.home, 'restored')
        const location = stores.get(name)!
        const result = await meter(plakar, registry, argsOf(step, {location, source, target}))
        results.get(name)!.get(step)!.push(result)
        console.log(`  ${name} ${step}: ${result.seconds.toFixed(2)} s`)
        if (!existsSync(target)) continue
        expectSameFiles(source, target)
        rmSync(target, {recursive: true})
      }
    }
  }

  return results
}

function argsOf(
  step: Step,
  {location, source, target}: {readonly location: string; readonly source: string; readonly target: string},
): string[] {
  const base = ['-quiet', 'at', location, step]
  if (step === 'backup') return [...base, source]
  return step === 'check' ? base : [...base, '-to', target]
}

/** plakar ends with 0 after some failures: what it restored is compared, and a check says that it found no error. */
async function meter(plakar: Plakar, registry: MeteredRegistry, args: readonly string[]): Promise<Result> {
  const before = await registry.requests()
  const watch = watchPlugins(plakar.home)
  const start = performance.now()
  await succeed(plakar, args)
  const seconds = (performance.now() - start) / 1000
  const {cpu, peakMib} = watch.stop()
  return {cpu, peakMib, requests: (await registry.requests()) - before, seconds}
}

async function succeed(plakar: Plakar, args: readonly string[]): Promise<void> {
  const {status, stderr, stdout} = await plakar.run(args, {limitMs: LIMIT_MS})
  const said = `${stdout}${stderr}`
  const sound = status === 0 && (!args.includes('check') || said.includes('without errors'))
  if (!sound) throw new Error(`plakar ${args.join(' ')} ended with ${status}: ${said.slice(-2000)}`)
}

function print(title: string, results: Results): void {
  const heads = ['step', 'through', 'median', 'against fs://', 'requests', "plugin's CPU", "plugin's peak RSS"]
  const secondsOf = (name: string, step: Step) => median(runsOf(name, step).map(({seconds}) => seconds))
  const runsOf = (name: string, step: Step) => results.get(name)!.get(step)!
  const rows = STEPS.flatMap((step) =>
    [...results.keys()].map((name) => {
      const [base, seconds] = [secondsOf('fs://', step), secondsOf(name, step)]
      const plugin = name === 'fs://' ? ['', '', ''] : usesOf(runsOf(name, step))
      return [step, name, `${seconds.toFixed(2)} s`, `${(seconds / base).toFixed(2)}x`, ...plugin]
    }),
  )
  console.log(`\n${title}\n\n${markdownTable(heads, rows)}\n`)
}

function usesOf(runs: readonly Result[]): string[] {
  return [
    String(median(runs.map(({requests}) => requests))),
    `${median(runs.map(({cpu}) => cpu)).toFixed(2)} s`,
    `${Math.max(...runs.map(({peakMib}) => peakMib)).toFixed(0)} MiB`,
  ]
}

async function printInit(contenders: readonly Contender[], host: string): Promise<void> {
  for (const {name, plakar, store} of contenders) {
    const executable = installedPlugin(plakar.home)
    const taken: number[] = []
    for (let run = 0; run < 7; run++) taken.push(await firstInit(executable, store(host), plakar.home))
    console.log(
      `first Init of ${name}: median ${median(taken).toFixed(0)} ms, worst ${Math.max(...taken).toFixed(0)} ms`,
    )
  }

  console.log('')
}
