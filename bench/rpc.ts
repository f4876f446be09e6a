/**
 * The plugin's gRPC server beside @grpc/grpc-js and node:http2: the same service, each as a process of its own behind
 * pipes, asked by the same client, in turn. Small answers are what plakar asks for by the ten thousand; large ones are
 * whole objects. What counts is the server's processor time: the client's is the same for all.
 *
 * Run: node --import tsx/esm bench/rpc.ts [CALLS] [ROUNDS]
 */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {type ClientHttp2Session, connect} from 'node:http2'
import {performance} from 'node:perf_hooks'
import {Duplex} from 'node:stream'

import {bytesField, uintField} from '../src/plugin/protobuf.js'
import {markdownTable, median} from './lib/report.js'
import {cpuOf} from './lib/watch.js'

const CALLS = Number(process.argv[2] ?? 20_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const SERVERS = ['ours', 'http2', 'grpc-js'] as const
const PROGRAM = new URL('lib/rpc-servers.ts', import.meta.url).pathname
const IN_FLIGHT = 64

type Name = (typeof SERVERS)[number]

interface Use {
  readonly cpu: number
  readonly seconds: number
}

const LOADS = [
  {calls: CALLS, length: 4500, title: `${CALLS} answers of 4.4 KiB, ${IN_FLIGHT} under way`},
  {calls: Math.ceil(CALLS / 100), length: 1_000_000, title: `${Math.ceil(CALLS / 100)} answers of 1 MB`},
]

for (const load of LOADS) {
  const uses = new Map<Name, Use[]>(SERVERS.map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of SERVERS) uses.get(name)!.push(await measure(name, load.calls, load.length))
  }

  const base = medians(uses.get('ours')!)
  const rows = [...uses].map(([name, measured]) => {
    const {cpu, seconds} = medians(measured)
    return [
      name === 'http2' ? 'node:http2' : name,
      `${((cpu / load.calls) * 1000).toFixed(3)} ms`,
      `${(cpu / base.cpu).toFixed(2)}x`,
      `${seconds.toFixed(2)} s`,
      `${(seconds / base.seconds).toFixed(2)}x`,
    ]
  })
  const heads = [load.title, "server's CPU a call", 'against ours', 'seconds', 'against ours']
  console.log(`\n${markdownTable(heads, rows)}`)
}

/** Starts the server, lets it get warm, and asks. */
async function measure(name: Name, calls: number, length: number): Promise<Use> {
  const child = spawn(process.execPath, ['--import', 'tsx/esm', PROGRAM, name], {stdio: ['pipe', 'pipe', 'inherit']})
  const pipe = Duplex.from({readable: child.stdout, writable: child.stdin})
  pipe.on('error', () => {})
  const session = connect('http://localhost', {createConnection: () => pipe})
  session.on('error', () => {})
  await ask(session, Math.ceil(calls / 10), length)
  const before = cpuOf(child.pid!)
  const start = performance.now()
  await ask(session, calls, length)
  const seconds = (performance.now() - start) / 1000
  const cpu = cpuOf(child.pid!) - before
  session.destroy()
  child.kill()
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return {cpu, seconds}
}

async function ask(session: ClientHttp2Session, calls: number, length: number): Promise<void> {
  const message = Buffer.concat([
    bytesField(1, Buffer.alloc(32, 7)),
    uintField(2, 1),
    bytesField(3, Buffer.concat([uintField(1, 4096), uintField(2, length)])),
  ])
  const request = Buffer.concat([Buffer.alloc(5), message])
  request.writeUInt32BE(message.length, 1)
  let left = calls
  const worker = async () => {
    while (left-- > 0) await get(session, request, length)
  }

  await Promise.all(Array.from({length: IN_FLIGHT}, worker))
}

async function get(session: ClientHttp2Session, request: Buffer, length: number): Promise<void> {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/store.Store/Get',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  let bytes = 0
  stream.on('data', (part: Buffer) => {
    bytes += part.length
  })
  stream.end(request)
  await new Promise<void>((resolve, reject) => {
    stream.on('error', reject)
    stream.on('close', resolve)
  })
  if (bytes < length) throw new Error(`${bytes} bytes of ${length}`)
}

function medians(uses: readonly Use[]): Use {
  return {cpu: median(uses.map(({cpu}) => cpu)), seconds: median(uses.map(({seconds}) => seconds))}
}
