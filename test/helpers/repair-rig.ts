import {createHash} from 'node:crypto'
import {cpSync, existsSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Secret} from '../../src/kloset/codec/secret.js'
import type {Repository} from '../../src/registry/interfaces.js'

import {collectGcCheck} from '../../src/checker/index.js'
import {collectVerify} from '../../src/checker/verify/index.js'
import {unlock} from '../../src/kloset/codec/kdf.js'
import {type Configuration} from '../../src/kloset/configuration.js'
import {sealEnvelope} from '../../src/kloset/envelope.js'
import {encodeLock} from '../../src/kloset/lock.js'
import {type Mac} from '../../src/kloset/mac.js'
import {KlosetStore} from '../../src/kloset/store.js'
import {timestampFromMillis} from '../../src/kloset/timestamp.js'
import {makeVersion} from '../../src/kloset/version.js'
import {openRepository} from '../../src/registry/open.js'
import {
  applyRepair,
  type ApplyResult,
  encodePlan,
  openSource,
  type PlanOptions,
  planRepair,
  readPlan,
  type RepairPlan,
  type RunOptions,
  undoRepair,
  type UndoResult,
} from '../../src/repair/index.js'
import {bufferSource} from '../../src/util/content-source.js'
import {FIXTURES, GOLDEN_PASSPHRASE, goldenCopy, type GoldenName, scratchDir} from './hooks.js'
import {unlockedGolden} from './unlocked.js'

const secrets = new Map<string, Promise<Secret>>()

/** The key of a golden store, derived once in a run. */
export async function unlockGolden({encryption, repositoryId}: Configuration): Promise<Secret | undefined> {
  if (!encryption) return undefined
  const id = repositoryId.toString('hex')
  const secret = secrets.get(id) ?? unlock(encryption, GOLDEN_PASSPHRASE)
  secrets.set(id, secret)
  return secret
}

/** Long after the golden stores were written. */
export const LATER = {now: () => Date.UTC(2040, 0, 1), async sleep() {}}

interface IndexEntry {
  annotations?: Record<string, string> | undefined
  digest: string
  size: number
}

/** A golden store in a folder of its own, to be damaged and repaired, and the golden store itself as its mirror. */
export class RepairRig {
  readonly mirror: string
  readonly planPath: string
  readonly root: string

  constructor(readonly name: GoldenName) {
    this.root = goldenCopy(name)
    this.mirror = `oci-layout:${join(FIXTURES, `${name}.oci`)}`
    this.planPath = join(scratchDir('plan'), 'plan.json')
  }

  get location(): string {
    return `oci-layout:${this.root}`
  }

  get quarantine(): string {
    return `${this.planPath}.quarantine`
  }

  async apply(options: Partial<RunOptions> = {}): Promise<ApplyResult> {
    return applyRepair(await readPlan(this.planPath), this.#options(options))
  }

  /** Everything that is wrong with the store. */
  async check({deep = true} = {}) {
    return this.withRepository(async (repository) => {
      const configuration = await new KlosetStore(repository).configuration().catch(() => null)
      const secret = configuration ? await unlockGolden(configuration) : undefined
      return collectGcCheck(repository, {clock: LATER, deep, secret})
    })
  }

  editBlob(digest: string, edit: (bytes: Buffer) => Buffer | undefined): void {
    const path = this.pathOf(digest)
    const changed = edit(readFileSync(path))
    if (changed) writeFileSync(path, changed)
    else rmSync(path)
  }

  editIndex(edit: (entries: IndexEntry[]) => IndexEntry[]): void {
    const path = join(this.root, 'index.json')
    const index = JSON.parse(readFileSync(path, 'utf8')) as {manifests: IndexEntry[]}
    writeFileSync(path, JSON.stringify({...index, manifests: edit(index.manifests)}))
  }

  entries(): IndexEntry[] {
    return (JSON.parse(readFileSync(join(this.root, 'index.json'), 'utf8')) as {manifests: IndexEntry[]}).manifests
  }

  entryOf(tag: string): IndexEntry {
    return this.entries().find(({annotations}) => annotations?.['org.opencontainers.image.ref.name'] === tag)!
  }

  /** Takes a tag away, and leaves what it led to. */
  forgetTag(tag: string): void {
    const {digest} = this.entryOf(tag)
    this.editIndex((entries) => entries.filter((entry) => entry.digest !== digest))
  }

  /** Whether the quarantine has these bytes. */
  keeps(bytes: Buffer): boolean {
    const name = createHash('sha256').update(bytes).digest('hex')
    const path = join(this.quarantine, 'blobs/sha256', name)
    return existsSync(path) && readFileSync(path).equals(bytes)
  }

  layerOf(tag: string): string {
    const manifest = JSON.parse(readFileSync(this.pathOf(this.entryOf(tag).digest), 'utf8')) as {
      layers: {digest: string}[]
    }
    return manifest.layers[0]!.digest
  }

  /** Every object that has a tag, with its bytes. */
  objects(): {bytes: Buffer; tag: string}[] {
    return this.entries().flatMap(({annotations}) => {
      const tag = annotations?.['org.opencontainers.image.ref.name']
      return tag === undefined ? [] : [{bytes: readFileSync(this.pathOf(this.layerOf(tag))), tag}]
    })
  }

  pathOf(digest: string): string {
    return join(this.root, 'blobs/sha256', digest.replace('sha256:', ''))
  }

  /** Makes a plan and writes it. */
  async plan(sources: readonly string[] = [], options: Partial<PlanOptions> = {}): Promise<RepairPlan> {
    const opened = await Promise.all(
      sources.map(async (source) => openSource(source, async (location) => openRepository(location, {readOnly: true}))),
    )
    try {
      return await this.withRepository(async (repository) => {
        const plan = await planRepair(repository, {clock: LATER, sources: opened, unlock: unlockGolden, ...options})
        writeFileSync(this.planPath, encodePlan(plan))
        return plan
      })
    } finally {
      for (const source of opened) await source.close()
    }
  }

  /** Puts a lock into the store, as plakar or another repair writes it. */
  async putLock(
    mac: Mac,
    {exclusive = false, minutesAgo = 0}: {readonly exclusive?: boolean; readonly minutesAgo?: number} = {},
  ): Promise<void> {
    const {codec, hasher} = await unlockedGolden(this.name)
    const then = LATER.now() - minutesAgo * 60_000
    const version = makeVersion(1, 0, 0)
    const lock = {exclusive, hostname: 'backup-host', timestamp: timestampFromMillis(then), version}
    const data = codec.encode(encodeLock(lock))
    hasher.reset()
    const bytes = sealEnvelope(data, {hasher, resource: 'lock', version})
    await this.withRepository(async (repository) => {
      const clock = {...LATER, now: () => then}
      await new KlosetStore(repository, {clock}).put('lock', mac, bufferSource(bytes))
    })
  }

  quarantineExists(): boolean {
    return existsSync(this.quarantine)
  }

  /** Bytes of an object. */
  size(tag: string): number {
    return readFileSync(this.pathOf(this.layerOf(tag))).length
  }

  /** A copy of the folder as it is now. */
  snapshot(): string {
    const copy = join(scratchDir('before'), 'store.oci')
    cpSync(this.root, copy, {recursive: true})
    return copy
  }

  tagsOf(kind: 'packfiles' | 'state'): string[] {
    return this.entries()
      .map(({annotations}) => annotations?.['org.opencontainers.image.ref.name'] ?? '')
      .filter((tag) => tag.startsWith(kind))
  }

  async undo(options: Partial<RunOptions> = {}): Promise<UndoResult> {
    return undoRepair(await readPlan(this.planPath), this.#options(options))
  }

  /** Everything that is wrong with the store down to its last blob. */
  async verify() {
    return this.withRepository(async (repository) => {
      const configuration = await new KlosetStore(repository).configuration()
      return collectVerify(repository, {clock: LATER, secret: await unlockGolden(configuration), tier: 'data'})
    })
  }

  async withRepository<T>(work: (repository: Repository) => Promise<T>): Promise<T> {
    const repository = await openRepository(this.location, {durable: false})
    try {
      return await work(repository)
    } finally {
      await repository.close()
    }
  }

  #options(options: Partial<RunOptions>): RunOptions {
    return {
      clock: LATER,
      lock: true,
      openRepository: async (location, open) => openRepository(location, {durable: false, ...open}),
      planPath: this.planPath,
      unlock: unlockGolden,
      ...options,
    }
  }
}
