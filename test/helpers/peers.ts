import type {Context} from 'mocha'

import {type ChildProcess, execFile, spawn} from 'node:child_process'
import {accessSync, constants} from 'node:fs'
import {delimiter, join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'

import {watched} from './children.js'

/** Path of an external program, when it is on PATH. */
export function findPeer(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((dir) => join(dir, name))
    .find((path) => isExecutable(path))
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Path of an external program that a test cannot do without. The test is skipped, with the reason printed, when it is
 * not on PATH; it fails when `KLOSET_OCI_REQUIRE_PEERS` (names, separated by commas or spaces) lists it.
 */
export function needPeer(mocha: Context, name: string): string {
  const path = findPeer(name)
  if (path) return path
  const required = (process.env['KLOSET_OCI_REQUIRE_PEERS'] ?? '').split(/[\s,]+/)
  if (required.includes(name)) throw new Error(`${name} is not on PATH, and KLOSET_OCI_REQUIRE_PEERS wants it`)
  process.stderr.write(`skipped: ${name} is not on PATH\n`)
  return mocha.skip()
}

export interface PeerResult {
  readonly output: string
  readonly status: number
}

/** Runs a program to its end. */
export function runPeer(
  program: string,
  args: readonly string[],
  options: {readonly env?: NodeJS.ProcessEnv; readonly input?: string} = {},
): Promise<PeerResult> {
  return new Promise((resolve) => {
    const child = watched(
      execFile(program, args, {env: {...process.env, ...options.env}}, (error, stdout, stderr) => {
        resolve({output: `${stdout}${stderr}`, status: error ? Number(error.code ?? -1) : 0})
      }),
    )
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
  })
}

/** A registry serves a whole suite: some minutes, or hours where plakar is killed at every request. */
const SERVER_LIMIT_MS = process.env['KLOSET_OCI_KILL_STRIDE'] === undefined ? 600_000 : 6 * 3_600_000

const running = new Set<ChildProcess>()

/** Starts a program that serves until `stopPeers`, and waits until it printed what `ready` looks for. */
export async function startPeer(
  program: string,
  args: readonly string[],
  options: {readonly env?: NodeJS.ProcessEnv; readonly ready: RegExp},
): Promise<RegExpExecArray> {
  const child = watched(
    spawn(program, args, {env: {...process.env, ...options.env}, stdio: ['ignore', 'pipe', 'pipe']}),
    SERVER_LIMIT_MS,
  )
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      if (output.length < 1_000_000) output += chunk.toString()
    })
  }

  for (let tries = 0; tries < 400; tries++) {
    const match = options.ready.exec(output)
    if (match) return match
    if (child.exitCode !== null) break
    await delay(25)
  }

  throw new Error(`${program} did not get ready: ${output.slice(-2000)}`)
}

/** For `afterEach`: ends what `startPeer` started. */
export async function stopPeers(): Promise<void> {
  for (const child of running) {
    running.delete(child)
    if (child.exitCode !== null || child.signalCode !== null) continue
    const ended = new Promise((resolve) => {
      child.once('exit', resolve)
    })
    child.kill('SIGKILL')
    await ended
  }
}
