import {mkdirSync} from 'node:fs'
import {type AddressInfo, createServer} from 'node:net'
import {join} from 'node:path'

import {startDistribution} from '../../test/helpers/registries.js'

export interface MeteredRegistry {
  readonly host: string
  /** Requests since it started, as it counts them itself. */
  requests(): Promise<number>
}

/** Distribution 3 without an access log, which counts its requests. `stopPeers` ends it. */
export async function startMeteredRegistry(program: string, folder: string): Promise<MeteredRegistry> {
  const storage = join(folder, 'registry')
  mkdirSync(storage)
  const meter = `127.0.0.1:${await freePort()}`
  const {host} = await startDistribution(program, folder, storage, {
    http: ['debug:', `  addr: ${meter}`, '  prometheus:', '    enabled: true'],
    top: ['log:', '  accesslog:', '    disabled: true'],
  })
  return {
    host,
    async requests() {
      const answer = await fetch(`http://${meter}/metrics`)
      const lines = (await answer.text()).matchAll(/^registry_http_requests_total\{.*\} (\d+)$/gm)
      return [...lines].reduce((sum, [, count]) => sum + Number(count), 0)
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const {port} = server.address() as AddressInfo
  await new Promise((resolve) => {
    server.close(resolve)
  })
  return port
}
