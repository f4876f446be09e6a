import type {Context} from 'mocha'

import {cpSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {PROGRAM} from './cli.js'
import {scratchDir} from './hooks.js'
import {needPeer, startPeer} from './peers.js'

export const REGISTRY_KINDS = ['registry2', 'registry3', 'crane', 'zot', 'serve'] as const
export type RegistryKind = (typeof REGISTRY_KINDS)[number]

/** The executable that each kind of registry is; `serve` is our own, and always there. */
export const PROGRAMS: Readonly<Record<Exclude<RegistryKind, 'serve'>, string>> = {
  crane: 'crane',
  registry2: 'docker-registry',
  registry3: 'registry',
  zot: 'zot',
}

/** A real registry on a loopback port, with its storage in a scratch folder. */
export interface RunningRegistry {
  readonly host: string
  readonly kind: RegistryKind
  readonly storage: string
}

/** Starts a registry that takes deletes; the test is skipped where its program is not there. `stopPeers` ends it. */
export async function startRegistry(mocha: Context, kind: RegistryKind): Promise<RunningRegistry> {
  return launchRegistry(kind, kind === 'serve' ? process.execPath : needPeer(mocha, PROGRAMS[kind]))
}

/** As `startRegistry`, with the path of its program, or of Node for our own. */
export async function launchRegistry(kind: RegistryKind, program: string): Promise<RunningRegistry> {
  const folder = scratchDir(kind)
  const storage = join(folder, 'data')
  mkdirSync(storage)
  switch (kind) {
    case 'crane': {
      const [, port] = await startPeer(program, ['registry', 'serve', '--address', '127.0.0.1:0', '--disk', storage], {
        ready: /serving on port (\d+)/,
      })
      return {host: `127.0.0.1:${port}`, kind, storage}
    }

    case 'registry2':
    case 'registry3': {
      const {host} = await startDistribution(program, folder, storage)
      return {host, kind, storage}
    }

    case 'serve': {
      const [, port] = await startPeer(program, [PROGRAM, 'serve', storage, '--listen', '127.0.0.1:0'], {
        ready: /http:\/\/127\.0\.0\.1:(\d+)/,
      })
      return {host: `127.0.0.1:${port}`, kind, storage}
    }

    case 'zot': {
      const config = join(folder, 'config.json')
      writeFileSync(
        config,
        JSON.stringify({
          distSpecVersion: '1.1.1',
          http: {address: '127.0.0.1', port: '0'},
          log: {level: 'info'},
          storage: {dedupe: false, gc: false, rootDirectory: storage},
        }),
      )
      const [, port] = await startPeer(program, ['serve', config], {ready: /kernel chosen port","port":(\d+)/})
      return {host: `127.0.0.1:${port}`, kind, storage}
    }
  }
}

/** Lines of distribution's settings besides those that every run of it has. */
export interface DistributionSettings {
  /** Below `http`. */
  readonly http?: readonly string[]
  readonly top?: readonly string[]
}

/** Distribution over a folder, on a port of its own choice. */
export async function startDistribution(
  program: string,
  folder: string,
  storage: string,
  {http = [], top = []}: DistributionSettings = {},
): Promise<{readonly host: string}> {
  const config = join(folder, 'config.yml')
  const lines = [
    'version: 0.1',
    ...top,
    'storage:',
    '  filesystem:',
    `    rootdirectory: ${storage}`,
    '  delete:',
    '    enabled: true',
    'http:',
    '  addr: 127.0.0.1:0',
    '  secret: of-no-consequence',
    ...http.map((line) => `  ${line}`),
    '',
  ]
  writeFileSync(config, lines.join('\n'))
  const [, port] = await startPeer(program, ['serve', config], {
    env: {OTEL_TRACES_EXPORTER: 'none'},
    ready: /listening on 127\.0\.0\.1:(\d+)/,
  })
  return {host: `127.0.0.1:${port}`}
}

/** A copy of a repository under another name, made in a registry's storage. */
export function copyRepository({kind, storage}: RunningRegistry, from: string, to: string): void {
  if (kind === 'crane') throw new Error('its manifests are in memory')
  const root = kind.startsWith('registry') ? join(storage, 'docker/registry/v2/repositories') : storage
  cpSync(join(root, from), join(root, to), {recursive: true})
}

export interface Target {
  readonly blob?: string
  readonly manifest?: string
  readonly tag?: string
}

/** Takes something out of a registry's storage, behind its back, and gives back how to put it there again. */
export async function removeFromStorage(
  {host, kind, storage}: RunningRegistry,
  repository: string,
  {blob, manifest, tag}: Target,
): Promise<() => Promise<void> | void> {
  const digest = blob ?? manifest
  const hex = digest?.slice('sha256:'.length)
  switch (kind) {
    case 'crane': {
      // Its manifests are in memory: only its own API reaches them.
      if (blob !== undefined) return hide(join(storage, 'sha256', hex!))
      return deleteManifest(`http://${host}/v2/${repository}/manifests/`, (manifest ?? tag)!)
    }

    case 'registry2':
    case 'registry3': {
      const root = join(storage, 'docker/registry/v2')
      if (hex !== undefined) return hide(join(root, 'blobs/sha256', hex.slice(0, 2), hex))
      return hide(join(root, 'repositories', repository, '_manifests/tags', tag!))
    }

    case 'serve':
    case 'zot': {
      const root = join(storage, repository)
      if (hex !== undefined) return hide(join(root, 'blobs/sha256', hex))
      return dropFromIndex(join(root, 'index.json'), tag!)
    }
  }
}

function dropFromIndex(path: string, tag: string): () => void {
  const before = readFileSync(path)
  const index = JSON.parse(before.toString()) as {manifests: {annotations?: Record<string, string>}[]}
  index.manifests = index.manifests.filter(
    ({annotations}) => annotations?.['org.opencontainers.image.ref.name'] !== tag,
  )
  writeFileSync(path, JSON.stringify(index))
  return () => writeFileSync(path, before)
}

async function deleteManifest(base: string, reference: string): Promise<() => Promise<void>> {
  const got = await fetch(base + reference)
  const body = await got.arrayBuffer()
  const type = got.headers.get('content-type') ?? ''
  const deleted = await fetch(base + reference, {method: 'DELETE'})
  if (!got.ok || !deleted.ok) throw new Error(`could not delete ${reference}: ${got.status}, ${deleted.status}`)
  return async () => {
    const put = await fetch(base + reference, {body, headers: {'content-type': type}, method: 'PUT'})
    if (!put.ok) throw new Error(`could not put ${reference} back: ${put.status}`)
  }
}

function hide(path: string): () => void {
  const hidden = join(scratchDir('hidden'), 'it')
  renameSync(path, hidden)
  return () => renameSync(hidden, path)
}

/** Every file below a folder, relative to it. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, {recursive: true, withFileTypes: true})
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}
