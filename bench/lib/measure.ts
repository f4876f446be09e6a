import {spawn} from 'node:child_process'
import {performance} from 'node:perf_hooks'

import {markdownTable, median} from './report.js'

/** One contender: what it is called and how one run of it goes. */
export interface Contender {
  readonly name: string
  /** What has to be there for a run, and is not measured. */
  prepare?(): Promise<void>
  /** @param signal ends it where it takes too long */
  run(signal?: AbortSignal): Promise<unknown>
}

export interface Timing {
  readonly best: number
  readonly median: number
  readonly name: string
  readonly seconds: readonly number[]
}

/**
 * Runs each once, as a warm-up. Who fails or takes longer than `limitMs` is left out, and named.
 */
export async function warmUp(contenders: readonly Contender[], limitMs: number): Promise<Contender[]> {
  const able: Contender[] = []
  for (const contender of contenders) {
    await contender.prepare?.()
    const limit = AbortSignal.timeout(limitMs)
    try {
      await contender.run(limit)
      able.push(contender)
    } catch (error) {
      const why = error instanceof Error ? error.message.slice(-300) : String(error)
      console.log(
        limit.aborted
          ? `${contender.name}: left out: not ready within ${limitMs / 1000} s${why === '' ? '' : ` (${why})`}`
          : `${contender.name}: left out: ${why}`,
      )
    }
  }

  return able
}

/**
 * Runs contenders in turn, A B C A B C ..., so that a drift of the machine's speed meets them all alike.
 * The first round is a warm-up and is not counted, unless they are warm.
 */
export async function sideBySide(
  contenders: readonly Contender[],
  rounds: number,
  {isWarm = false}: {readonly isWarm?: boolean} = {},
): Promise<Timing[]> {
  const seconds = new Map<string, number[]>(contenders.map(({name}) => [name, []]))
  for (let round = isWarm ? 1 : 0; round <= rounds; round++) {
    for (const contender of contenders) {
      const {name} = contender
      await contender.prepare?.()
      const start = performance.now()
      await contender.run()
      if (round > 0) seconds.get(name)?.push((performance.now() - start) / 1000)
    }
  }

  return [...seconds].map(([name, taken]) => ({
    best: Math.min(...taken),
    median: median(taken),
    name,
    seconds: taken,
  }))
}

/** A Markdown table; `unit` bytes of work turn the median into MiB/s; ratios are against the first row. */
export function table(title: string, timings: readonly Timing[], bytes?: number): string {
  const base = timings[0]?.median ?? 1
  const rows = timings.map(({best, median: middle, name}) => {
    const rate = bytes === undefined ? [] : [`${(bytes / middle / 1024 / 1024).toFixed(0)} MiB/s`]
    return [name, `${middle.toFixed(3)} s`, `${best.toFixed(3)} s`, ...rate, `${(middle / base).toFixed(2)}x`]
  })
  const heads = [
    title,
    'median',
    'best',
    ...(bytes === undefined ? [] : ['throughput']),
    `time against ${timings[0]?.name ?? ''}`,
  ]
  return markdownTable(heads, rows)
}

/**
 * The environment of what is measured: a whole system's collection of certificates, named here, would cost a Node 80 ms
 * at its start, whatever it does.
 */
export function measuredEnv(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {...process.env, NODE_EXTRA_CA_CERTS: undefined, ...extra}
}

/** Runs a program to its end. @throws Error with the tail of its output when it fails, and when `signal` ends it */
export async function execute(
  command: string,
  args: readonly string[],
  {env = {}, signal}: {readonly env?: NodeJS.ProcessEnv; readonly signal?: AbortSignal | undefined} = {},
): Promise<string> {
  signal?.throwIfAborted()
  const child = spawn(command, args, {
    env: measuredEnv(env),
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal && {signal}),
  })
  const output: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk))
  const status = await new Promise<null | number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const text = Buffer.concat(output).toString('utf8')
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${text.slice(-2000)}`)
  return text
}
