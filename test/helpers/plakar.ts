import {spawn} from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {basename, join} from 'node:path'

import {watched} from './children.js'
import {findPeer, isExecutable} from './peers.js'

/** What one plakar command printed and how it ended. */
export interface PlakarResult {
  readonly status: null | number
  readonly stderr: string
  readonly stdout: string
}

/** plakar with a home folder of its own, one storage plugin, and no trace left behind. */
export interface PlakarRunOptions {
  /** Besides HOME, PATH and TMPDIR. */
  readonly env?: NodeJS.ProcessEnv | undefined
  /** Milliseconds after which it is killed; by default as any process of a test. */
  readonly limitMs?: number | undefined
  readonly passphrase?: string | undefined
  /** Kills it, as SIGKILL does: at once. What it has started is not told. */
  readonly signal?: AbortSignal | undefined
}

export interface Plakar {
  /** Ends plakar's background process and removes the home folder. */
  close(): Promise<void>
  readonly home: string
  /** Ends everything of this home at once, as a machine that loses its power does. The folder stays. */
  kill(): void
  /** Runs a command to its end, whatever its status. */
  run(args: readonly string[], options?: PlakarRunOptions): Promise<PlakarResult>
}

/** Path of plakar: `KLOSET_OCI_PLAKAR`, or the first one on PATH. */
export function findPlakar(): string | undefined {
  const named = process.env['KLOSET_OCI_PLAKAR']
  if (named) return isExecutable(named) ? named : undefined
  return findPeer('plakar')
}

/** Package of the official plugin for `oci://`, in `KLOSET_OCI_OFFICIAL_PLUGIN`. */
export function findOfficialPlugin(): string | undefined {
  const path = process.env['KLOSET_OCI_OFFICIAL_PLUGIN']
  return path && existsSync(path) ? path : undefined
}

/** Processes whose home is this one: the daemon that plakar starts, and the plugins that it started. */
function processesOf(home: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`HOME=${home}`)
      } catch {
        return false
      }
    })
    .map(Number)
}

/** Command lines of the processes that plakar left running in this home, its own daemon aside. */
export function pluginProcessesOf(home: string): string[] {
  return processesOf(home).flatMap((pid) => {
    try {
      const path = readlinkSync(`/proc/${pid}/exe`)
      return path.endsWith('/plakar') ? [] : [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')]
    } catch {
      return []
    }
  })
}

/** plakar takes a package by its name's form only: another name is a copy's. */
function namedAsPackage(path: string, folder: string): string {
  if (/^\w+_v[^_]+_[^_]+_[^_]+\.ptar$/.test(basename(path))) return path
  const copy = join(folder, `oci_v0.0.1_${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}.ptar`)
  copyFileSync(path, copy)
  return copy
}

/** Command lines of plugins in this home that no plakar waits for: its daemon keeps one of its own. */
export function strayPluginsOf(home: string): string[] {
  return processesOf(home).flatMap((pid) => {
    try {
      if (isPlakar(pid)) return []
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      const parent = Number(/^PPid:\s*(\d+)/m.exec(status)?.[1])
      if (/^State:\s*Z/m.test(status) || isPlakar(parent)) return []
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')]
    } catch {
      return []
    }
  })
}

function isPlakar(pid: number): boolean {
  return readlinkSync(`/proc/${pid}/exe`).endsWith('/plakar')
}

/**
 * A new home with `plugin` (a .ptar package) installed. Its path is short: plakar's socket lies below it and a Unix
 * socket's path may have no more than 107 bytes.
 */
export async function startPlakar(program: string, plugin?: string): Promise<Plakar> {
  const home = newHome()
  const plakar = plakarIn(program, home)
  try {
    // Alone, as a command of its own: it notes the wish and ends.
    await plakar.run(['-disable-security-check'])
    if (plugin) {
      const added = await plakar.run(['pkg', 'add', namedAsPackage(plugin, home)])
      if (added.status !== 0) throw new Error(`plakar pkg add failed: ${added.stdout}${added.stderr}`)
    }
  } catch (error) {
    await plakar.close()
    throw error
  }

  return plakar
}

/** A new home with what is installed and configured in another one, and nothing of what that one knows of stores. */
export function plakarLike(program: string, {home: other}: Pick<Plakar, 'home'>): Plakar {
  const home = newHome()
  const left = new Set([
    join(other, 't'),
    ...['2.0.0', 'cached.sock'].map((name) => join(other, '.cache/plakar', name)),
  ])
  cpSync(other, home, {filter: (source) => !left.has(source), recursive: true})
  return plakarIn(program, home)
}

function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'kp-'))
  mkdirSync(join(home, 't'))
  return home
}

function plakarIn(program: string, home: string): Plakar {
  const env: NodeJS.ProcessEnv = {HOME: home, PATH: process.env['PATH'], TMPDIR: join(home, 't')}
  const kill = (): void => {
    for (const pid of processesOf(home)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It left by itself.
      }
    }
  }

  return {
    async close() {
      kill()
      rmSync(home, {force: true, maxRetries: 5, recursive: true})
    },
    home,
    kill,
    async run(args, options = {}) {
      const child = watched(
        spawn(program, [...args], {
          cwd: home,
          env: {
            ...env,
            ...options.env,
            ...(options.passphrase !== undefined && {PLAKAR_PASSPHRASE: options.passphrase}),
          },
          stdio: ['ignore', 'pipe', 'pipe'],
        }),
        options.limitMs,
      )
      options.signal?.addEventListener('abort', () => child.kill('SIGKILL'))
      const stdout: Buffer[] = []
      const stderr: Buffer[] = []
      child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
      child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
      const status = await new Promise<null | number>((resolve, reject) => {
        child.once('error', reject)
        child.once('close', resolve)
      })
      return {
        status,
        stderr: Buffer.concat(stderr).toString('utf8'),
        stdout: Buffer.concat(stdout).toString('utf8'),
      }
    },
  }
}
