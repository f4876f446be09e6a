import type {ChildProcess} from 'node:child_process'

/** No process of a test has more to do than this takes on a slow machine. */
const LIMIT_MS = 150_000

const alive = new Set<ChildProcess>()

/** Watches over a process that a test started: one that hangs is ended, so that it does not keep the run from ending. */
export function watched<Child extends ChildProcess>(child: Child, limitMs = LIMIT_MS): Child {
  const timer = setTimeout(() => {
    process.stderr.write(`killed after ${limitMs / 1000} s: ${child.spawnargs.join(' ').slice(0, 300)}\n`)
    child.kill('SIGKILL')
  }, limitMs)
  // Waiting for a process is what keeps a run alive, not watching it.
  timer.unref()
  alive.add(child)
  const forget = () => {
    clearTimeout(timer)
    alive.delete(child)
  }

  child.once('exit', forget)
  child.once('error', forget)
  return child
}

/** Ends every process that tests left running. */
export function killWatched(): void {
  for (const child of alive) child.kill('SIGKILL')
}
