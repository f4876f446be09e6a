import {LRUCache} from 'lru-cache'

import type {Descriptor} from '../descriptor.js'
import type {LayoutContext} from './context.js'
import type {IndexView} from './index-model.js'

import {IntegrityError, isNotFound, NotFoundError} from '../../errors.js'
import {isObject} from '../../util/json.js'
import {parseDescriptor} from '../descriptor.js'
import {algorithmOf, type Digest, digestOf} from '../digest.js'
import {sizeMismatch} from '../local/range.js'
import {isIndexType, MAX_MANIFEST_BYTES, parseManifestJson} from '../manifest.js'
import {openBlob, readWhole, sizeOfBlob} from './blob-file.js'
import {descriptorOfEntry} from './index-entry.js'

/** Indexes inside indexes are followed so far down and no further. */
const MAX_DEPTH = 8

/** Manifests as files, and what the index entries of a layout lead to. */
export class ManifestFiles {
  /** Children by index digest: content does not change, so neither do they. */
  readonly #children = new LRUCache<Digest, readonly Descriptor[]>({max: 1000})
  readonly #context: LayoutContext

  constructor(context: LayoutContext) {
    this.#context = context
  }

  /** The manifests that an index lists. @throws NotFoundError | IntegrityError | ProtocolError */
  async children(target: Descriptor): Promise<readonly Descriptor[]> {
    const known = this.#children.get(target.digest)
    if (known) return known
    const what = `${this.#context.location}: ${target.digest}`
    const {manifests} = parseManifestJson(await this.read(target), what)
    const children = Array.isArray(manifests)
      ? manifests
          .filter((child) => isObject(child))
          .map((child, at) => parseDescriptor(child, `${what}: manifests[${at}]`))
      : []
    this.#children.set(target.digest, children)
    return children
  }

  /** Whether an index inside the layout lists the manifest. One that cannot be read might. */
  async isListed(view: IndexView, digest: Digest): Promise<boolean> {
    let isUnsure = false
    const onUnreadable = () => {
      isUnsure = true
    }

    for await (const child of this.walk(view, onUnreadable)) if (child.digest === digest) return true
    return isUnsure
  }

  /** The manifest's descriptor when the index or an index inside it has it. An index that cannot be read has nothing. */
  async lookUp(view: IndexView, digest: Digest): Promise<Descriptor | undefined> {
    const [entry] = view.ofDigest(digest)
    if (entry) return descriptorOfEntry(entry)
    for await (const child of this.walk(view)) if (child.digest === digest) return child
    return undefined
  }

  missing(digest: Digest, reference: string): NotFoundError {
    return new NotFoundError(`${this.#context.location}: manifest of ${reference} is missing: no blob ${digest}`, {
      facts: {digest, reference},
    })
  }

  /** The manifest's bytes, checked. @throws NotFoundError | IntegrityError | ProtocolError */
  async read(target: Descriptor): Promise<Buffer> {
    const {digest, size} = target
    const bytes = await this.readStored(digest)
    if (size >= 0 && bytes.length !== size) throw sizeMismatch(target, bytes.length)
    const actual = digestOf(bytes, algorithmOf(digest))
    if (actual === digest) return bytes
    throw new IntegrityError(`${this.#context.location}: manifest ${digest} has digest ${actual}`, {
      facts: {actual, expected: digest},
    })
  }

  /** The manifest's bytes as they are. @throws NotFoundError | ProtocolError when it is too large */
  async readStored(digest: Digest): Promise<Buffer> {
    return readWhole(await this.#open(digest), digest, MAX_MANIFEST_BYTES)
  }

  /** @throws NotFoundError when the index has the manifest and the blob is gone */
  async requireFile(digest: Digest, reference: string): Promise<void> {
    try {
      await sizeOfBlob(this.#context.files, digest)
    } catch (error) {
      throw isNotFound(error) ? this.missing(digest, reference) : error
    }
  }

  /** Manifests listed by indexes inside the layout, at any depth. */
  async *walk(view: IndexView, onUnreadable: (error: unknown) => void = () => {}): AsyncGenerator<Descriptor> {
    const seen = new Set<Digest>()
    let level: Descriptor[] = [...view.nested()].map((entry) => descriptorOfEntry(entry))
    for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
      const next: Descriptor[] = []
      for (const index of level.filter(({digest}) => !seen.has(digest))) {
        seen.add(index.digest)
        const children = await this.#childrenOr(index, onUnreadable)
        yield* children
        next.push(...children.filter(({mediaType}) => isIndexType(mediaType)))
      }

      level = next
    }
  }

  async #childrenOr(index: Descriptor, onUnreadable: (error: unknown) => void): Promise<readonly Descriptor[]> {
    try {
      return await this.children(index)
    } catch (error) {
      onUnreadable(error)
      return []
    }
  }

  async #open(digest: Digest) {
    try {
      return await openBlob(this.#context.files, digest)
    } catch (error) {
      throw isNotFound(error) ? this.missing(digest, digest) : error
    }
  }
}
