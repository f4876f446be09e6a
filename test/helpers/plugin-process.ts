import {type ChildProcess, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {createServer, type Server, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {cleanEnv} from './cli.js'
import {storeClient, type StoreClient} from './grpc-client.js'
import {pluginBundle} from './plugin-package.js'

export interface PluginExit {
  readonly signal: NodeJS.Signals | null
  readonly status: null | number
  readonly stderr: string
}

/** The built plugin as plakar runs it: a child process with a gRPC client on its stdin and stdout. */
export interface PluginProcess {
  readonly child: ChildProcess
  readonly client: StoreClient
  /** Closes the pipe as plakar does when it leaves, and waits for the end of the process. */
  close(): Promise<PluginExit>
  readonly exit: Promise<PluginExit>
}

export interface PluginOptions {
  /** Default: Node with the bundle. */
  readonly command?: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
}

const running = new Set<ChildProcess>()

/** Starts the plugin's process alone; whoever asks speaks to its pipes. */
export async function spawnPlugin(options: PluginOptions = {}): Promise<Omit<PluginProcess, 'client' | 'close'>> {
  const [program, ...args] = options.command ?? [process.execPath, (await pluginBundle()).script]
  const child = spawn(program!, args, {env: cleanEnv(options.env), stdio: 'pipe'})
  running.add(child)
  const stderr: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  child.stdin.on('error', () => {})
  const exit = new Promise<PluginExit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, signal) => {
      running.delete(child)
      resolve({signal, status, stderr: Buffer.concat(stderr).toString()})
    })
  })
  return {child, exit}
}

/** Starts the plugin with a client of it: the client's library wants a socket, which is joined to the pipes. */
export async function startPlugin(options: PluginOptions = {}): Promise<PluginProcess> {
  const {child, exit} = await spawnPlugin(options)
  const path = join(tmpdir(), `kloset-oci-${randomBytes(6).toString('hex')}.sock`)
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.pipe(child.stdin!)
    child.stdout!.pipe(socket)
  })
  await new Promise<void>((resolve) => {
    server.listen(path, resolve)
  })
  const client = storeClient(path, {'grpc.max_receive_message_length': 4 * 1024 * 1024})
  const done = exit.finally(() => {
    client.getChannel().close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    child,
    client,
    async close() {
      client.getChannel().close()
      child.stdin!.end()
      return done
    },
    exit: done,
  }
}

/** For `afterEach`: ends what a failed test left. */
export function killPlugins(): void {
  for (const child of running) child.kill('SIGKILL')
}
