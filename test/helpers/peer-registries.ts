import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {scratchDir} from './hooks.js'
import {startPeer} from './peers.js'

/** Registries that other people wrote, by the name of their program. */
export const PEER_REGISTRIES = ['crane', 'docker-registry', 'registry', 'zot'] as const

export type PeerRegistry = (typeof PEER_REGISTRIES)[number]

/** Starts an empty one on a free port, deletion allowed, until `stopPeers`. @returns `127.0.0.1:PORT` */
export async function startRegistry(name: PeerRegistry, program: string): Promise<string> {
  const dir = scratchDir(name)
  const data = join(dir, 'data')
  mkdirSync(data)
  const [, port] = await START[name]({data, dir, program})
  return `127.0.0.1:${port}`
}

interface Start {
  readonly data: string
  readonly dir: string
  readonly program: string
}

const START: Readonly<Record<PeerRegistry, (start: Start) => Promise<RegExpExecArray>>> = {
  crane: async ({program}) =>
    startPeer(program, ['registry', 'serve', '--address', '127.0.0.1:0'], {ready: /serving on port (\d+)/}),
  'docker-registry': distribution,
  registry: distribution,
  async zot({data, dir, program}) {
    const config = join(dir, 'zot.json')
    const settings = {
      distSpecVersion: '1.1.1',
      http: {address: '127.0.0.1', port: '0'},
      log: {level: 'info'},
      storage: {gc: false, rootDirectory: data},
    }
    writeFileSync(config, JSON.stringify(settings))
    return startPeer(program, ['serve', config], {ready: /kernel chosen port","port":(\d+)/})
  },
}

/** Distribution 2.8 and 3. */
async function distribution({data, dir, program}: Start): Promise<RegExpExecArray> {
  const config = join(dir, 'config.yml')
  const settings = [
    'version: 0.1',
    'storage:',
    '  filesystem:',
    `    rootdirectory: ${data}`,
    '  delete:',
    '    enabled: true',
    'http:',
    '  addr: 127.0.0.1:0',
    '',
  ]
  writeFileSync(config, settings.join('\n'))
  return startPeer(program, ['serve', config], {
    env: {OTEL_TRACES_EXPORTER: 'none'},
    ready: /listening on 127\.0\.0\.1:(\d+)/,
  })
}
