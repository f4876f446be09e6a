import fs from 'node:fs/promises'
import {join} from 'node:path'
import pMap from 'p-map'

import type {Descriptor} from '../descriptor.js'
import type {CallOptions} from '../interfaces.js'
import type {LayoutContext} from './context.js'
import type {IndexDraft} from './index-model.js'
import type {ManifestFiles} from './manifest-files.js'

import {IntegrityError, messageOf} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {type Clock} from '../../util/clock.js'
import {errnoOf, fileOperation} from '../../util/fs-error.js'
import {isObject, isString, type JsonObject} from '../../util/json.js'
import {type Digest, type DigestAlgorithm, isDigest} from '../digest.js'
import {isImageManifestType, isIndexType} from '../manifest.js'
import {assertWritable} from './context.js'
import {descriptorOfEntry, isBare} from './index-entry.js'

export interface GarbageOptions extends CallOptions {
  /** Only says what would go. */
  readonly dryRun?: boolean | undefined
  /**
   * Blobs younger than this stay: the manifest of a push that is under way may come yet. An hour by default.
   * A push touches the blobs that it finds already there.
   */
  readonly graceMs?: number | undefined
  /** Also drops manifests that have no tag, no subject, and that no index lists. Off by default. */
  readonly untagged?: boolean | undefined
}

export interface GarbageReport {
  /** Blobs removed, or that would be. */
  readonly blobs: readonly Descriptor[]
  readonly bytes: number
  /** Untagged manifests dropped; their blobs are among `blobs`. */
  readonly manifests: readonly Digest[]
  /** Unfinished files of writers that died. */
  readonly temporaryFiles: number
}

const HOUR_MS = 3_600_000
const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512']
const READS_AT_ONCE = 16
/** So many blobs are removed under one hold of the lock. */
const SLICE = 500

interface Candidate extends Descriptor {
  readonly mtimeMs: number
  readonly path: string
}

/** Removes blobs that no manifest reaches. Made by `LayoutRepository.collectGarbage`. */
export class GarbageCollector {
  readonly #clock: Clock
  readonly #context: LayoutContext
  readonly #manifests: ManifestFiles
  readonly #options: GarbageOptions
  readonly #reached = new Set<Digest>()

  constructor(context: LayoutContext, manifests: ManifestFiles, clock: Clock, options: GarbageOptions) {
    this.#context = context
    this.#manifests = manifests
    this.#clock = clock
    this.#options = options
  }

  /** @throws IntegrityError when a manifest cannot be read: what it reaches is then unknown, and nothing is removed */
  async run(): Promise<GarbageReport> {
    const {dryRun = false, signal} = this.#options
    if (!dryRun) assertWritable(this.#context)
    const dropped = this.#options.untagged ? await this.#dropUntagged(dryRun) : new Set<Digest>()
    const index = await this.#context.index.read(signal)
    await this.#mark(
      [...index.entries()].filter(({digest}) => !dropped.has(digest)).map((entry) => descriptorOfEntry(entry)),
    )
    const candidates = await this.#candidates()
    const temporary = await this.#temporary()
    const blobs = dryRun ? candidates : await this.#sweep(candidates)
    if (!dryRun) for (const path of temporary) await fs.rm(path, {force: true}).catch(() => {})
    return {
      blobs: blobs.map(({digest, mediaType, size}) => ({digest, mediaType, size})),
      bytes: blobs.reduce((sum, {size}) => sum + size, 0),
      manifests: [...dropped],
      temporaryFiles: temporary.length,
    }
  }

  async #candidates(): Promise<Candidate[]> {
    const found: Candidate[] = []
    for (const algorithm of ALGORITHMS) {
      const dir = this.#context.files.blobDir(algorithm)
      for (const name of await namesIn(dir)) {
        throwIfAborted(this.#options.signal)
        const digest = `${algorithm}:${name}`
        // What is no blob by its name is nobody's garbage.
        if (!isDigest(digest) || this.#reached.has(digest)) continue
        const path = join(dir, name)
        const stats = await fs.lstat(path).catch(() => {})
        if (!stats?.isFile() || !this.#isOld(Math.max(stats.mtimeMs, stats.ctimeMs))) continue
        found.push({digest, mediaType: 'application/octet-stream', mtimeMs: stats.mtimeMs, path, size: stats.size})
      }
    }

    return found
  }

  async #dropUntagged(dryRun: boolean): Promise<Set<Digest>> {
    const dropped = new Set<Digest>()
    const edit = async (
      draft: Pick<IndexDraft, 'digests' | 'nested' | 'ofDigest' | 'tagged'>,
      remove: (digest: Digest) => void,
    ) => {
      dropped.clear()
      for (const digest of draft.digests()) {
        throwIfAborted(this.#options.signal)
        const entries = draft.ofDigest(digest)
        if (!entries.every((entry) => isBare(entry)) || (await this.#isNeeded(descriptorOfEntry(entries[0]!)))) continue
        if (await this.#manifests.isListed(draft, digest)) continue
        dropped.add(digest)
      }

      for (const digest of dropped) remove(digest)
    }

    const {index, isReadOnly} = this.#context
    await (dryRun || isReadOnly
      ? edit(await index.read(this.#options.signal), () => {})
      : index.update({edit: (draft) => edit(draft, (digest) => draft.removeDigest(digest))}, this.#options.signal))
    return dropped
  }

  /** Whether an untagged manifest stays: it is young, or refers to a subject, or cannot be read. */
  async #isNeeded(target: Descriptor): Promise<boolean> {
    const stats = await fs.lstat(this.#context.files.blobPath(target.digest)).catch(() => {})
    if (!stats || !this.#isOld(Math.max(stats.mtimeMs, stats.ctimeMs))) return true
    try {
      const json: unknown = JSON.parse((await this.#manifests.read(target)).toString('utf8'))
      return isObject(json) && json['subject'] !== undefined
    } catch {
      return true
    }
  }

  #isOld(timeMs: number): boolean {
    return this.#clock.now() - timeMs > (this.#options.graceMs ?? HOUR_MS)
  }

  async #mark(roots: readonly Descriptor[]): Promise<void> {
    let level = roots.filter(({digest}) => !this.#reached.has(digest))
    while (level.length > 0) {
      for (const {digest} of level) this.#reached.add(digest)
      const children = await pMap(level, (target) => this.#reach(target), {
        concurrency: READS_AT_ONCE,
        ...(this.#options.signal && {signal: this.#options.signal}),
      })
      level = children.flat().filter(({digest}) => !this.#reached.has(digest))
    }
  }

  /** Marks what a manifest names. @returns the manifests among it, to be followed */
  async #reach(target: Descriptor): Promise<Descriptor[]> {
    throwIfAborted(this.#options.signal)
    if (
      !isImageManifestType(target.mediaType) &&
      !isIndexType(target.mediaType) &&
      !target.mediaType.includes('manifest')
    )
      return []
    let json: unknown
    try {
      json = JSON.parse((await this.#manifests.read(target)).toString('utf8'))
    } catch (error) {
      throw new IntegrityError(
        `${this.#context.location}: garbage not collected: manifest ${target.digest} cannot be read: ${messageOf(error)}`,
        {
          cause: error,
          facts: {digest: target.digest},
          suggestions: ['Repair or remove that manifest first: what it reaches is unknown, so nothing was removed.'],
        },
      )
    }

    if (!isObject(json)) return []
    const manifests = referencesOf(json, 'manifests')
    for (const key of ['config', 'layers', 'blobs', 'subject']) {
      for (const {digest} of referencesOf(json, key)) this.#reached.add(digest)
    }

    return manifests.map(({digest, mediaType}) => ({digest, mediaType, size: -1}))
  }

  /** Removes one blob, unless a push has touched it since it was looked at. */
  async #remove({mtimeMs, path}: Candidate): Promise<boolean> {
    const {path: trash} = await this.#trash()
    try {
      await fs.rename(path, trash)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false
      return fileOperation('delete', path, () => Promise.reject(error))
    }

    const stats = await fileOperation('read', trash, () => fs.lstat(trash))
    if (stats.mtimeMs === mtimeMs) {
      await fileOperation('delete', trash, () => fs.unlink(trash))
      return true
    }

    await fileOperation('restore', path, () => fs.rename(trash, path))
    return false
  }

  async #sweep(candidates: readonly Candidate[]): Promise<Candidate[]> {
    const removed: Candidate[] = []
    for (let at = 0; at < candidates.length; at += SLICE) {
      const slice = candidates.slice(at, at + SLICE)
      await this.#context.index.update(
        {
          edit: async (draft) => {
            // Manifests that came since the marking: with the lock held no more can come.
            const fresh = [...draft.digests()].filter((digest) => !this.#reached.has(digest))
            await this.#mark(fresh.map((digest) => descriptorOfEntry(draft.ofDigest(digest)[0]!)))
            for (const candidate of slice) {
              throwIfAborted(this.#options.signal)
              if (!this.#reached.has(candidate.digest) && (await this.#remove(candidate))) removed.push(candidate)
            }
          },
        },
        this.#options.signal,
      )
    }

    return removed
  }

  async #temporary(): Promise<string[]> {
    const found: string[] = []
    const {tempDir} = this.#context.files
    for (const name of await namesIn(tempDir)) {
      const path = join(tempDir, name)
      const stats = await fs.lstat(path).catch(() => {})
      if (stats?.isFile() && this.#isOld(Math.max(stats.mtimeMs, stats.ctimeMs))) found.push(path)
    }

    return found
  }

  async #trash(): Promise<{readonly path: string}> {
    const {files} = this.#context
    await files.makeDir(files.tempDir)
    return {path: files.temporaryPath()}
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await fs.readdir(dir)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    return fileOperation('list', dir, () => Promise.reject(error))
  }
}

/** Descriptors of a manifest's field, be it one or a list; lenient, since anything named must stay. */
function referencesOf(json: JsonObject, key: string): Array<{readonly digest: Digest; readonly mediaType: string}> {
  const value = json[key]
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.flatMap((item) => {
    if (!isObject(item)) return []
    const {digest, mediaType} = item
    return isString(digest) && isDigest(digest) ? [{digest, mediaType: isString(mediaType) ? mediaType : ''}] : []
  })
}
