import {createHash} from 'node:crypto'
import {cpSync, existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Repository} from '../../../src/registry/interfaces.js'

import {openLayout} from '../../../src/registry/layout/open-layout.js'
import {MemoryRepository} from '../../../src/registry/memory/repository.js'
import {MemoryState} from '../../../src/registry/memory/state.js'
import {openRepository} from '../../../src/registry/open.js'
import {flipBit} from '../damage.js'
import {type FakeOptions, FakeRegistry, FakeRepository, sha256} from '../fake-registry.js'
import {scratchDir} from '../hooks.js'
import {TEST_CLOCK} from '../test-store.js'
import {onMortalDisk} from './disk.js'
import {type Life} from './life.js'
import {MortalProxy} from './proxy.js'
import {mortalRepository} from './repository.js'

export type Open = (name: string) => Promise<Repository>

/** A place with repositories by name, seen from outside: it outlives the processes that die at work in it. */
export interface Site {
  close(): Promise<void>
  /** Flips a bit of a blob where it lies, where the place lets one. @returns whether it does */
  damage(name: string, digest: string): boolean
  /** SHA-256 of everything that lies in a repository, as the bytes really are. */
  digests(name: string): Promise<ReadonlySet<string>>
  readonly open: Open
  /** Runs the work of a mortal process: each of its requests, or changes of the disk, is a step of its life. */
  visit<T>(life: Life, work: (open: Open) => Promise<T>): Promise<T>
}

/** Work of some hundred requests, of which each death takes as long as several of the other kind. */
type Work = 'long' | 'short'

/** A kind of place. */
export interface SiteKind {
  readonly name: string
  /** @returns what makes a place that is filled like this one, each time another */
  prepare(fill: (site: Site) => Promise<void>): Promise<() => Promise<Site>>
  /** Every so many steps one dies, unless the environment says otherwise: what costs more is done less often. */
  readonly stride: Readonly<Record<Work, number>>
  /** Whether a manifest can be written whose content is not there. */
  readonly takesDangling: boolean
}

/** Every how many steps a process dies: KLOSET_OCI_KILL_STRIDE=1 takes all of them, and some minutes. */
export function strideOf({stride}: SiteKind, work: Work = 'short'): number {
  return Number(process.env['KLOSET_OCI_KILL_STRIDE'] ?? stride[work])
}

class MemorySite implements Site {
  readonly open = async (name: string) => this.#repository(name)
  readonly #states = new Map<string, MemoryState>()

  async close(): Promise<void> {}

  copy(): MemorySite {
    const site = new MemorySite()
    for (const [name, {blobs, location, manifests, tags}] of this.#states) {
      const state = new MemoryState(location)
      for (const [digest, bytes] of blobs) state.blobs.set(digest, bytes)
      for (const [digest, manifest] of manifests) state.manifests.set(digest, manifest)
      for (const tag of tags.sorted()) state.tags.set(tag, tags.get(tag)!)
      site.#states.set(name, state)
    }

    return site
  }

  damage(): boolean {
    return false
  }

  async digests(name: string): Promise<ReadonlySet<string>> {
    const repository = this.#repository(name)
    const digests = new Set<string>()
    for await (const {digest} of repository.blobDigests()) digests.add(digest)
    for await (const {digest} of repository.manifestDigests()) digests.add(digest)
    return digests
  }

  async visit<T>(life: Life, work: (open: Open) => Promise<T>): Promise<T> {
    return work(async (name) => mortalRepository(this.#repository(name), life))
  }

  #repository(name: string): MemoryRepository {
    const state = this.#states.get(name) ?? new MemoryState(`memory:${name}`)
    this.#states.set(name, state)
    return new MemoryRepository(state, (neighbour) => this.#states.get(neighbour))
  }
}

class RegistrySite implements Site {
  readonly open = async (name: string) => openRepository(`oci://${this.#fake.host}/${name}`)
  readonly #fake: FakeRegistry

  private constructor(fake: FakeRegistry) {
    this.#fake = fake
  }

  static async start(options: FakeOptions): Promise<RegistrySite> {
    return new RegistrySite(await FakeRegistry.start(options))
  }

  async close(): Promise<void> {
    const {violations} = this.#fake
    await this.#fake.stop()
    if (violations.length > 0) throw new Error(`malformed requests: ${violations.join('; ')}`)
  }

  async copy(): Promise<RegistrySite> {
    const fake = await FakeRegistry.start(this.#fake.options)
    for (const [name, {blobs, manifests, tags}] of this.#fake.repositories) {
      const repository = new FakeRepository()
      for (const [digest, bytes] of blobs) repository.blobs.set(digest, bytes)
      for (const [digest, manifest] of manifests) repository.manifests.set(digest, manifest)
      for (const [tag, digest] of tags) repository.tags.set(tag, digest)
      fake.repositories.set(name, repository)
    }

    return new RegistrySite(fake)
  }

  damage(name: string, digest: string): boolean {
    const {blobs} = this.#fake.repository(name)
    const bytes = blobs.get(digest)!
    blobs.set(digest, flipBit(bytes, 4 * bytes.length))
    return true
  }

  async digests(name: string): Promise<ReadonlySet<string>> {
    const {blobs, manifests} = this.#fake.repository(name)
    const all = [...blobs.values(), ...[...manifests.values()].map(({bytes}) => bytes)]
    return new Set(all.map((bytes) => sha256(bytes)))
  }

  async visit<T>(life: Life, work: (open: Open) => Promise<T>): Promise<T> {
    const proxy = await MortalProxy.start(this.#fake.host, life)
    const opened: Repository[] = []
    try {
      return await work(async (name) => {
        const repository = await openRepository(`oci://${proxy.host}/${name}`, {retry: {attempts: 1}})
        opened.push(repository)
        return repository
      })
    } finally {
      for (const repository of opened) await repository.close()
      await proxy.close()
    }
  }
}

class FolderSite implements Site {
  readonly open = async (name: string) =>
    openLayout(join(this.#dir, name), {clock: TEST_CLOCK, create: true, durable: false})
  readonly #dir = scratchDir('site')

  async close(): Promise<void> {}

  copy(): FolderSite {
    const site = new FolderSite()
    cpSync(this.#dir, site.#dir, {recursive: true})
    return site
  }

  damage(name: string, digest: string): boolean {
    const path = join(this.#dir, name, 'blobs', digest.replace(':', '/'))
    const bytes = readFileSync(path)
    writeFileSync(path, flipBit(bytes, 4 * bytes.length))
    return true
  }

  async digests(name: string): Promise<ReadonlySet<string>> {
    const dir = join(this.#dir, name, 'blobs/sha256')
    if (!existsSync(dir)) return new Set()
    return new Set(
      readdirSync(dir).map((file) => {
        const bytes = readFileSync(join(dir, file))
        return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
      }),
    )
  }

  async visit<T>(life: Life, work: (open: Open) => Promise<T>): Promise<T> {
    return onMortalDisk(life, async () => work(this.open))
  }
}

export const IN_MEMORY: SiteKind = {
  name: 'in memory',
  async prepare(fill) {
    const site = new MemorySite()
    await fill(site)
    return async () => site.copy()
  },
  stride: {long: 3, short: 1},
  takesDangling: true,
}

export const IN_A_FOLDER: SiteKind = {
  name: 'in a directory',
  async prepare(fill) {
    const site = new FolderSite()
    await fill(site)
    return async () => site.copy()
  },
  stride: {long: 61, short: 13},
  takesDangling: true,
}

/** A registry, with what deletes there. */
function inARegistry(name: string, options: FakeOptions, stride: SiteKind['stride']): SiteKind {
  return {
    name,
    async prepare(fill) {
      const site = await RegistrySite.start(options)
      await fill(site)
      await site.close()
      return async () => site.copy()
    },
    stride,
    takesDangling: false,
  }
}

export const IN_A_REGISTRY = inARegistry('in a registry', {}, {long: 79, short: 29})
/** As distribution 2.8: a tag goes when the manifest goes that it leads to, with all others that lead to it. */
export const IN_A_REGISTRY_BY_DIGEST = inARegistry(
  'in a registry that deletes digests only',
  {tagDelete: 'digest-invalid'},
  {long: 127, short: 41},
)

export const SITES: readonly SiteKind[] = [IN_MEMORY, IN_A_REGISTRY, IN_A_REGISTRY_BY_DIGEST, IN_A_FOLDER]

/** The same repository under another name. */
export function named(repository: Repository, location: string): Repository {
  return new Proxy(repository, {
    get(target, property) {
      if (property === 'location') return location
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** Looks at a repository of a place, from outside. */
export async function looking<T>(site: Site, name: string, look: (repository: Repository) => Promise<T>): Promise<T> {
  const repository = await site.open(name)
  return look(repository).finally(async () => repository.close())
}
