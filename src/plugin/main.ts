import {fstatSync} from 'node:fs'

import {dropWebGlobals} from '../util/web-globals.js'
import {toRpcError} from './failures.js'
import {Session} from './h2/session.js'
import {RpcServer} from './rpc/server.js'
import {StoreService} from './service.js'
import {HostPipe} from './stdio.js'

/** How long unfinished work may take (deletes to finish, uploads to cancel) once the host has gone. */
const GRACE_MS = 5000

/**
 * Serves plakar over stdin and stdout until plakar closes them; then the process ends.
 * SIGINT is the terminal's, which sends it to plakar as well: plakar still needs us then to remove its lock, and closes
 * the pipe when it is done.
 */
export function runPlugin(): void {
  if (!isPipe(0) || !isPipe(1)) {
    process.stderr.write(
      'kloset-oci plugin: plakar starts this program and speaks to it through pipes; to look at it by hand: kloset-oci plugin STORE\n',
    )
    process.exitCode = 64
    return
  }

  dropWebGlobals()
  const service = new StoreService()
  const server = new RpcServer({mapError: toRpcError, methods: service.handlers()})
  let code = 0
  let leaving = false
  const leave = (reason: string, exitCode: number): void => {
    if (leaving) return
    leaving = true
    code = exitCode
    const busy = session.active > 0 || service.busy
    session.close(reason)
    const exit = (): void => {
      // eslint-disable-next-line n/no-process-exit, unicorn/no-process-exit -- idle connections would keep us alive
      process.exit(code)
    }

    setTimeout(exit, GRACE_MS)
    if (busy) service.end().then(() => setImmediate(exit), exit)
    else exit()
  }

  const pipe = new HostPipe({
    onBytes: (bytes) => session.receive(bytes),
    onEnd: () => leave('plakar has closed the pipe', 0),
  })
  const session = new Session({
    onError(error) {
      process.stderr.write(`kloset-oci plugin: the connection to plakar broke: ${error.message}\n`)
      leave(error.message, 1)
    },
    onRequest: (stream, head) => server.request(stream, head),
    sink: pipe,
  })
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => leave('the plugin was told to end', 143))
  process.on('SIGHUP', () => leave('the plugin was told to end', 129))
}

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd)
    return stat.isFIFO() || stat.isSocket()
  } catch {
    return false
  }
}
