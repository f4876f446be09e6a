import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readdirSync} from 'node:fs'
import {connect} from 'node:http2'
import {join} from 'node:path'
import {performance} from 'node:perf_hooks'
import {Duplex} from 'node:stream'

import {bytesField, stringField} from '../../src/plugin/protobuf.js'
import {measuredEnv} from './measure.js'

/** Where plakar unpacked the plugin that is installed below a home folder. */
export function installedPlugin(home: string): string {
  const found = readdirSync(join(home, '.cache/plakar'), {recursive: true, withFileTypes: true}).find(
    (entry) => entry.isFile() && /^(?:kloset-oci-plugin|ociStorage)$/.test(entry.name),
  )
  if (!found) throw new Error(`no plugin below ${home}`)
  return join(found.parentPath, found.name)
}

/**
 * Milliseconds from the start of the process to the answer of its first Init.
 * @param home the user's, in which the plugin has run before
 */
export async function firstInit(executable: string, location: string, home: string): Promise<number> {
  const start = performance.now()
  const child = spawn(executable, [], {env: measuredEnv({HOME: home}), stdio: ['pipe', 'pipe', 'inherit']})
  const pipe = Duplex.from({readable: child.stdout, writable: child.stdin})
  pipe.on('error', () => {})
  const session = connect('http://localhost', {createConnection: () => pipe})
  session.on('error', () => {})
  const stream = session.request({
    ':method': 'POST',
    ':path': '/store.Store/Init',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  stream.end(framed(Buffer.concat([stringField(1, 'oci'), mapEntry(2, 'location', location)])))
  stream.resume()
  const status = await new Promise((resolve, reject) => {
    stream.on('error', reject)
    stream.on('trailers', (fields) => resolve(fields['grpc-status']))
    stream.on('response', (fields) => {
      if (fields['grpc-status'] !== undefined) resolve(fields['grpc-status'])
    })
  })
  const taken = performance.now() - start
  session.destroy()
  child.stdin.end()
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  if (Number(status) !== 0) throw new Error(`Init was answered with status ${String(status)}`)
  return taken
}

function mapEntry(field: number, key: string, value: string): Buffer {
  return bytesField(field, Buffer.concat([stringField(1, key), stringField(2, value)]))
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}
