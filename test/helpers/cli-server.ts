import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'

import {watched} from './children.js'
import {cleanEnv, PROGRAM} from './cli.js'

export interface CliServer {
  readonly child: ChildProcess
  /** Everything on standard error so far. */
  errors(): string
  /** Everything on standard output so far. */
  output(): string
  /** Asks it to end, as Ctrl-C does, and waits until it has. */
  stop(signal?: NodeJS.Signals): Promise<{readonly signal: NodeJS.Signals | null; readonly status: null | number}>
  readonly url: string
}

/** Runs the built `serve` on a free port until it listens. */
export async function cliServer(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliServer> {
  const child = watched(
    spawn(process.execPath, [PROGRAM, 'serve', '--listen', '127.0.0.1:0', ...args], {
      env: cleanEnv(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
  let [output, errors] = ['', '']
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const match = /https?:\/\/[^\s"]+/.exec(output)
      if (match && output.includes('\n')) resolve(match[0])
    })
    child.once('exit', (code) => reject(new Error(`serve ended with ${code}: ${errors}`)))
    child.once('error', reject)
  })
  return {
    child,
    errors: () => errors,
    output: () => output,
    async stop(name = 'SIGINT') {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(name)
        await once(child, 'close')
      }

      return {signal: child.signalCode, status: child.exitCode}
    },
    url,
  }
}
