import {open, opendir} from 'node:fs/promises'
import {basename, join} from 'node:path'

import type {CallOptions} from '../../registry/interfaces.js'
import type {ObjectName} from '../proof.js'
import type {Copy, Source, Wanted} from './source.js'

import {HEADER_BYTES, parseHeader, resourceOfType} from '../../kloset/envelope.js'
import {isMac} from '../../kloset/mac.js'
import {type ResourceName, tagOf} from '../../kloset/resource.js'
import {type Digest, Digester, encodedOf} from '../../registry/digest.js'
import {throwIfAborted} from '../../util/abort.js'
import {errnoOf, localIoError} from '../../util/fs-error.js'
import {fileCopy} from './file-copy.js'

/** A folder is for what was rescued, not for a disk. */
const MAX_FILES = 200_000
const MAX_DEPTH = 16

/** Files that are not named for what they hold are tried for this many objects' sake only. */
const MAX_UNNAMED = 2000

interface Found {
  readonly path: string
  readonly resource: ResourceName
}

/**
 * A folder of loose files, or one file: an object is found by its tag, MAC or digest in a file's name, by the digest of what is in a
 * file, or among the files that hold something of its kind.
 */
export class FilesSource implements Source {
  readonly kind = 'files'
  readonly location: string
  readonly #digests = new Map<Digest, string>()
  #files: Promise<readonly Found[]> | undefined
  #hashed: Promise<void> | undefined
  readonly #root: string

  constructor(root: string) {
    this.location = root
    this.#root = root
  }

  async close(): Promise<void> {}

  async *copies(wanted: Wanted, options: CallOptions = {}): AsyncGenerator<Copy> {
    const files = await this.#list(options)
    const seen = new Set<string>()
    for (const path of await this.#likely(wanted, files, options)) {
      if (seen.has(path)) continue
      seen.add(path)
      const copy = await fileCopy(path)
      if (copy) yield copy
    }
  }

  async *states(options: CallOptions = {}): AsyncGenerator<ObjectName> {
    for (const {path, resource} of await this.#list(options)) {
      const mac = /([\da-f]{64})/.exec(basename(path))?.[1]
      if (resource === 'state' && mac !== undefined && isMac(mac)) {
        yield {mac, resource, tag: tagOf('state', mac)}
      }
    }
  }

  async #hash(files: readonly Found[], {signal}: CallOptions): Promise<void> {
    for (const {path} of files) {
      const copy = await fileCopy(path)
      if (!copy) continue
      const digester = new Digester()
      for await (const chunk of await copy.open({signal})) digester.update(chunk as Buffer)
      this.#digests.set(digester.value(), path)
    }
  }

  async #likely(
    {digest, mac, resource, tag}: Wanted,
    files: readonly Found[],
    options: CallOptions,
  ): Promise<readonly string[]> {
    const ofKind = files.filter((file) => file.resource === resource).map(({path}) => path)
    const names = [tag, ...(mac === undefined ? [] : [mac]), ...(digest === undefined ? [] : [encodedOf(digest)])]
    const named = ofKind.filter((path) => names.some((name) => basename(path).includes(name)))
    if (digest !== undefined && named.length === 0) {
      this.#hashed ??= this.#hash(files, options)
      await this.#hashed
      const path = this.#digests.get(digest)
      return path === undefined ? [] : [path]
    }

    const unnamed = ofKind.filter((path) => !/[\da-f]{64}/.test(basename(path))).slice(0, MAX_UNNAMED)
    return [...named, ...unnamed]
  }

  async #list({signal}: CallOptions): Promise<readonly Found[]> {
    this.#files ??= collectFiles(this.#root, signal)
    return this.#files
  }
}

async function collectFiles(root: string, signal: AbortSignal | undefined): Promise<readonly Found[]> {
  const found: Found[] = []
  const paths = (await fileCopy(root)) ? [root] : filesBelow(root, MAX_DEPTH)
  for await (const path of paths) {
    throwIfAborted(signal)
    if (found.length >= MAX_FILES) break
    const resource = await resourceIn(path)
    if (resource) found.push({path, resource})
  }

  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}

async function* filesBelow(path: string, depth: number): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(path)) {
      const below = join(path, entry.name)
      if (entry.isFile()) yield below
      else if (entry.isDirectory() && depth > 0) yield* filesBelow(below, depth - 1)
    }
  } catch (error) {
    if (!['EACCES', 'ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw localIoError(error, 'list', path)
  }
}

/** What a file holds by its first bytes; none for one that is no object. */
async function resourceIn(path: string): Promise<ResourceName | undefined> {
  const head = Buffer.alloc(HEADER_BYTES)
  try {
    const file = await open(path, 'r')
    try {
      await file.read(head, 0, HEADER_BYTES, 0)
    } finally {
      await file.close()
    }
  } catch {
    return undefined
  }

  try {
    return resourceOfType(parseHeader(head, path).type)
  } catch {
    return undefined
  }
}
