import {type Dirent} from 'node:fs'
import {readdir, stat} from 'node:fs/promises'
import {basename, join, resolve} from 'node:path'

import type {Digest} from '../../registry/digest.js'
import type {OwnedRepository} from '../../registry/local/owned-repository.js'
import type {Root} from './root.js'

import {InvalidArgumentError, NotFoundError} from '../../errors.js'
import {openLayout} from '../../registry/layout/open-layout.js'
import {type LayoutRepository} from '../../registry/layout/repository.js'
import {plainText} from '../../registry/redact.js'
import {isRepositoryName} from '../../registry/reference.js'
import {errnoOf, fileOperation} from '../../util/fs-error.js'
import {makeFolders} from '../../util/make-folders.js'
import {fault, HttpFault} from '../faults.js'

const MARKER = 'oci-layout'

/** What a layout has in its folder: no repository inside it can have these names. */
const RESERVED = new Set(['blobs', 'index.json', MARKER])

export interface LayoutRootOptions {
  readonly durable?: boolean | undefined
  readonly readOnly?: boolean | undefined
  /** The name under which a folder that is itself a layout is served. Default: the folder's own name, made valid. */
  readonly repositoryName?: string | undefined
}

/**
 * The repositories of a folder: the folder itself when it is an image layout, else the layouts in it by their path.
 * A folder that does not exist is made, unless nothing may be written.
 * @throws InvalidArgumentError | NotFoundError | LocalIoError
 */
export async function openLayoutRoot(path: string, options: LayoutRootOptions = {}): Promise<Root> {
  const {durable, readOnly, repositoryName} = options
  if (path === '' || path.includes('\0')) throw new InvalidArgumentError('serve: no path')
  if (repositoryName !== undefined && !isRepositoryName(repositoryName)) {
    throw new InvalidArgumentError(`"${plainText(repositoryName, 200)}": not a repository name`, {
      suggestions: ['Use lower-case letters and digits, with ".", "_", "-" and "/" between them.'],
    })
  }

  const root = resolve(path)
  const stats = await statOf(root)
  if (stats && !stats.isDirectory()) {
    throw new InvalidArgumentError(`${path}: not a folder`, {
      suggestions: ['Give the folder of an image layout, or one that holds layouts.'],
    })
  }

  if (stats && (await isLayout(root))) {
    const repository = await openLayout(root, {durable, readOnly})
    return new SingleLayout(repositoryName ?? nameOfFolder(root), repository)
  }

  if (repositoryName !== undefined) {
    throw new InvalidArgumentError(`${path}: not an image layout, so there is nothing to serve as ${repositoryName}`, {
      suggestions: ['Leave the repository name out: the layouts in a folder are served by their paths.'],
    })
  }

  if (!stats && readOnly) throw new NotFoundError(`${path}: no such folder`, {suggestions: ['Check the path.']})
  if (!stats) await fileOperation('make folder', root, async () => makeFolders(root))
  return new LayoutTree(root, {durable, readOnly})
}

/** A folder's name as a repository name: `My Store.oci` is `my-store.oci`. */
export function nameOfFolder(path: string): string {
  const name = basename(path)
    .toLowerCase()
    .replaceAll(/[^\d._a-z-]+/g, '-')
    .replaceAll(/\.{2,}/g, '.')
    .replaceAll(/_{3,}/g, '__')
    .replaceAll(/^[._-]+|[._-]+$/g, '')
  return isRepositoryName(name) ? name : 'store'
}

class SingleLayout implements Root {
  readonly #name: string
  readonly #repository: LayoutRepository

  constructor(name: string, repository: LayoutRepository) {
    this.#name = name
    this.#repository = repository
  }

  async close(): Promise<void> {
    await this.#repository.close()
  }

  async create(name: string): Promise<OwnedRepository> {
    if (name === this.#name) return this.#repository
    throw new HttpFault(404, 'NAME_UNKNOWN', 'this server has one repository only', {
      detail: {name, repository: this.#name},
    })
  }

  async mount(digest: Digest, from: string, to: string): Promise<boolean> {
    if (from !== this.#name || to !== this.#name) return false
    return this.#repository.blobs.keep({digest, size: -1})
  }

  async names(): Promise<readonly string[]> {
    return [this.#name]
  }

  async open(name: string): Promise<OwnedRepository | undefined> {
    return name === this.#name ? this.#repository : undefined
  }
}

class LayoutTree implements Root {
  readonly #open = new Map<string, Promise<LayoutRepository>>()
  readonly #options: Pick<LayoutRootOptions, 'durable' | 'readOnly'>
  readonly #root: string

  constructor(root: string, options: Pick<LayoutRootOptions, 'durable' | 'readOnly'>) {
    this.#options = options
    this.#root = root
  }

  async close(): Promise<void> {
    const open = await Promise.allSettled(this.#open.values())
    await Promise.all(open.map((result) => (result.status === 'fulfilled' ? result.value.close() : undefined)))
  }

  async create(name: string): Promise<LayoutRepository> {
    return this.#once(name, async () => {
      if (
        name
          .split('/')
          .slice(1)
          .some((component) => RESERVED.has(component))
      )
        throw reserved(name)
      return openLayout(this.#pathOf(name), {...this.#options, amongOthers: true, create: true})
    })
  }

  async mount(digest: Digest, from: string, to: string): Promise<boolean> {
    const source = await this.open(from)
    if (!source) return false
    const target = await this.create(to)
    return source === target ? source.blobs.keep({digest, size: -1}) : target.adoptBlob(digest, source)
  }

  async names(): Promise<readonly string[]> {
    const names: string[] = []
    const folders = ['']
    for (let name = folders.pop(); name !== undefined; name = folders.pop()) {
      for (const entry of await entriesOf(this.#pathOf(name))) {
        const inner = name === '' ? entry.name : `${name}/${entry.name}`
        if (!entry.isDirectory() || !isRepositoryName(inner)) continue
        if (name !== '' && RESERVED.has(entry.name)) continue
        if (await isLayout(this.#pathOf(inner))) names.push(inner)
        folders.push(inner)
      }
    }

    return names.sort()
  }

  async open(name: string): Promise<LayoutRepository | undefined> {
    const known = this.#open.get(name)
    if (known) return known
    const path = this.#pathOf(name)
    if (!(await isLayout(path))) return undefined
    return this.#once(name, () => openLayout(path, this.#options))
  }

  async #once(name: string, open: () => Promise<LayoutRepository>): Promise<LayoutRepository> {
    const known = this.#open.get(name)
    if (known) return known
    const opening = open()
    this.#open.set(name, opening)
    opening.catch(() => this.#open.delete(name))
    return opening
  }

  #pathOf(name: string): string {
    return join(this.#root, ...name.split('/'))
  }
}

async function statOf(path: string) {
  return stat(path).catch((error: unknown) => {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return
    if (errno === 'ENAMETOOLONG') throw fault.nameUnknown(basename(path))
    return fileOperation('read', path, () => Promise.reject(error))
  })
}

async function isLayout(path: string): Promise<boolean> {
  return (await statOf(join(path, MARKER)))?.isFile() ?? false
}

function reserved(name: string): HttpFault {
  return new HttpFault(400, 'NAME_INVALID', `a repository cannot be called ${[...RESERVED].join(', ')} here`, {
    detail: {name},
  })
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, {withFileTypes: true})
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return []
    return fileOperation('list', path, () => Promise.reject(error))
  }
}
