import {type ChildProcess, spawn} from 'node:child_process'
import {existsSync} from 'node:fs'
import {fileURLToPath} from 'node:url'

import {watched} from './children.js'
import {scratchDir} from './hooks.js'

export const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

export interface CliOptions {
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Standard input; none by default. */
  readonly input?: Buffer | string | undefined
  /** Gets the process at once: to send signals, to read slowly. */
  readonly onSpawn?: ((child: ChildProcess) => void) | undefined
  /** Leaves standard output alone, for `onSpawn` to read. */
  readonly raw?: boolean | undefined
}

export interface CliResult {
  /** Standard output as the document that `--json` promises. @throws when it is not one */
  json<T = Record<string, unknown>>(): T
  readonly signal: NodeJS.Signals | null
  readonly status: null | number
  readonly stderr: string
  readonly stdout: string
  readonly stdoutBytes: Buffer
}

let home: string | undefined

/** What a process of ours may see: no login, no proxy and no build job of the machine it runs on. */
export function cleanEnv(extra: CliOptions['env'] = {}): NodeJS.ProcessEnv {
  if (home === undefined || !existsSync(home)) home = scratchDir('home')
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(?:KLOSET_OCI_|DOCKER_|REGISTRY_|XDG_|CI$|DEBUG$|NODE_|FORCE_COLOR$|NO_COLOR$|.*_proxy$)/i.test(name),
  )
  return {...Object.fromEntries(kept), HOME: home, ...extra}
}

/** Runs the built program as a process of its own, to its end. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = watched(
    spawn(process.execPath, [PROGRAM, ...args], {cwd: options.cwd, env: cleanEnv(options.env), stdio: 'pipe'}),
  )
  const [out, err]: [Buffer[], Buffer[]] = [[], []]
  if (!options.raw) child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdin.on('error', () => {})
  options.onSpawn?.(child)
  child.stdin.end(options.input)
  const [status, signal] = await new Promise<[null | number, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, name) => resolve([code, name]))
  })
  const stdoutBytes = Buffer.concat(out)
  const stdout = stdoutBytes.toString()
  return {
    json: () => JSON.parse(stdout),
    signal,
    status,
    stderr: Buffer.concat(err).toString(),
    stdout,
    stdoutBytes,
  }
}
