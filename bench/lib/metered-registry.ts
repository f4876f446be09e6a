import {mkdirSync, writeFileSync} from 'node:fs'
import {type AddressInfo, createServer} from 'node:net'
import {join} from 'node:path'

import {startPeer} from '../../test/helpers/peers.js'

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
  const config = join(folder, 'registry.yml')
  const settings = [
    'version: 0.1',
    'log:',
    '  accesslog:',
    '    disabled: true',
    'storage:',
    '  filesystem:',
    `    rootdirectory: ${storage}`,
    '  delete:',
    '    enabled: true',
    'http:',
    '  addr: 127.0.0.1:0',
    '  secret: of-no-consequence',
    '  debug:',
    `    addr: ${meter}`,
    '    prometheus:',
    '      enabled: true',
    '',
  ]
  writeFileSync(config, settings.join('\n'))
  const [, port] = await startPeer(program, ['serve', config], {
    env: {OTEL_TRACES_EXPORTER: 'none'},
    ready: /listening on 127\.0\.0\.1:(\d+)/,
  })
  return {
    host: `127.0.0.1:${port}`,
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
