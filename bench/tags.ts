/**
 * `ls` and `gc-check` over a registry that holds a store of many objects: requests, seconds, and the peak memory of the
 * process. The registry makes what it is asked for and keeps nothing, so that it is not what is measured.
 *
 * Run: npm run build && node --import tsx/esm bench/tags.ts [COUNT]
 */
import {spawn} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http'
import {type AddressInfo} from 'node:net'
import {performance} from 'node:perf_hooks'

import type {Repository} from '../src/registry/interfaces.js'

import {endlessStore} from '../test/helpers/endless-repository.js'

const PAGE = 1000
const RUN = new URL('../bin/run.js', import.meta.url).pathname

const count = Number(process.argv[2] ?? 100_000)
const {repository} = await endlessStore(count)
const tags: string[] = []
for await (const tag of repository.tags()) tags.push(tag)
tags.sort()

let requests = 0
const server = createServer((request, response) => {
  requests += 1
  answer(request, response, repository).catch((error: unknown) => {
    console.error(`${request.method} ${request.url}: ${String(error)}`)
    if (response.headersSent) response.destroy()
    else response.writeHead(500).end()
  })
})
server.listen(0, '127.0.0.1')
await new Promise((resolve) => {
  server.once('listening', resolve)
})
const {port} = server.address() as AddressInfo
const store = `oci://127.0.0.1:${port}/bench/tags`

for (const command of [
  ['ls', store, '--count'],
  ['ls', store],
  ['gc-check', store],
]) {
  requests = 0
  const start = performance.now()
  const {peak, status} = await runCommand(command)
  const seconds = (performance.now() - start) / 1000
  const name = command.filter((word) => word !== store).join(' ')
  console.log(
    `${name.padEnd(12)} ${count} objects: ${seconds.toFixed(1)} s, ${requests} requests, peak RSS ${peak} MiB, exit ${status}`,
  )
}

server.close()
server.closeAllConnections()

async function answer(request: IncomingMessage, response: ServerResponse, from: Repository): Promise<void> {
  request.resume()
  const url = new URL(request.url ?? '/', 'http://localhost')
  const [, kind = '', reference = ''] = /\/bench\/tags\/(manifests|blobs|tags)\/(.+)$/.exec(url.pathname) ?? []
  if (kind === 'tags') {
    const last = url.searchParams.get('last')
    const start = last === null ? 0 : tags.indexOf(last) + 1
    const page = tags.slice(start, start + PAGE)
    const link = `</v2/bench/tags/tags/list?n=${PAGE}&last=${page.at(-1)}>; rel="next"`
    const more = start + PAGE < tags.length
    response.writeHead(200, {'content-type': 'application/json', ...(more && {link})})
    response.end(JSON.stringify({name: 'bench/tags', tags: page}))
    return
  }

  if (kind === 'manifests') {
    const {bytes, descriptor, mediaType} = await from.manifests.get(reference)
    response.writeHead(200, {
      'content-length': bytes.length,
      'content-type': mediaType,
      'docker-content-digest': descriptor.digest,
    })
    response.end(request.method === 'HEAD' ? undefined : bytes)
    return
  }

  if (kind === 'blobs') {
    const {digest, size} = await from.blobs.resolve(reference)
    const content = request.method === 'HEAD' ? undefined : await from.blobs.fetch({digest, mediaType: '', size})
    response.writeHead(200, {'content-length': size, 'docker-content-digest': digest})
    if (content) content.pipe(response)
    else response.end()
    return
  }

  response.writeHead(200).end()
}

/** Runs the program and watches its memory from outside. */
async function runCommand(args: readonly string[]): Promise<{peak: number; status: null | number}> {
  const child = spawn(process.execPath, [RUN, ...args], {stdio: ['ignore', 'ignore', 'inherit']})
  let peak = 0
  const timer = setInterval(() => {
    try {
      const [, kib = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? []
      peak = Math.max(peak, Math.round(Number(kib) / 1024))
    } catch {
      // It has ended, or this system has no /proc.
    }
  }, 20)
  const status = await new Promise<null | number>((resolve) => {
    child.once('close', resolve)
  })
  clearInterval(timer)
  return {peak, status}
}
