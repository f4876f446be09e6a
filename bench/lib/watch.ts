import {readdirSync, readFileSync, readlinkSync} from 'node:fs'

/** What the plugin processes of one plakar command took, as the system counts it. */
export interface PluginUse {
  /** Seconds of processor time of all of them. */
  readonly cpu: number
  /** The largest resident memory of any of them, in MiB. */
  readonly peakMib: number
  readonly processes: number
}

const POLL_MS = 25

/** Clock ticks a second, as Linux reports them whatever the kernel's own clock. */
const TICKS = 100

/**
 * Watches the plugins that plakar starts below a home folder until `stop`: every process with this HOME that is not
 * plakar itself. What a process does between the last look and its end is not seen: some milliseconds.
 */
export function watchPlugins(home: string): {stop(): PluginUse} {
  const seen = new Map<number, {cpu: number; peak: number}>()
  const others = new Set<number>()
  const look = () => {
    for (const name of readdirSync('/proc')) {
      const pid = Number(name)
      if (!Number.isInteger(pid) || others.has(pid)) continue
      try {
        if (!seen.has(pid) && !isPlugin(pid, home)) {
          // A process that plakar has just forked is still plakar: it is looked at again.
          if (!belongsTo(pid, home)) others.add(pid)
          continue
        }

        const before = seen.get(pid)
        const cpu = cpuOf(pid)
        // One that has ended and waits for its parent has no memory any more.
        seen.set(pid, {cpu, peak: Math.max(before?.peak ?? 0, peakOf(pid))})
      } catch {
        // It has ended; what was seen of it counts.
      }
    }
  }

  const timer = setInterval(look, POLL_MS)
  return {
    stop() {
      clearInterval(timer)
      const uses = [...seen.values()]
      return {
        cpu: uses.reduce((sum, {cpu}) => sum + cpu, 0),
        peakMib: Math.max(0, ...uses.map(({peak}) => peak)),
        processes: uses.length,
      }
    },
  }
}

function belongsTo(pid: number, home: string): boolean {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`HOME=${home}`)
}

function isPlugin(pid: number, home: string): boolean {
  return belongsTo(pid, home) && !readlinkSync(`/proc/${pid}/exe`).endsWith('/plakar')
}

/** Seconds of user and system time: the fields behind the name, which may hold anything, in brackets. */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

function peakOf(pid: number): number {
  const [, kib = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}
