import type {Descriptor} from '../descriptor.js'
import type {Digest} from '../digest.js'

/** Tags and the manifests they point at, counted by manifest so that sharing is known without a search. */
export class TagTable {
  readonly #counts = new Map<Digest, number>()
  #sorted: readonly string[] | undefined
  readonly #tags = new Map<string, Descriptor>()

  get size(): number {
    return this.#tags.size
  }

  /** How many tags point at a manifest. */
  count(digest: Digest): number {
    return this.#counts.get(digest) ?? 0
  }

  /** @returns what it pointed at */
  delete(tag: string): Descriptor | undefined {
    const old = this.#tags.get(tag)
    if (!old) return undefined
    this.#tags.delete(tag)
    this.#add(old.digest, -1)
    this.#sorted = undefined
    return old
  }

  /** Removes every tag of a manifest. */
  deleteAll(digest: Digest): void {
    if (this.count(digest) === 0) return
    for (const [tag, target] of this.#tags) if (target.digest === digest) this.#tags.delete(tag)
    this.#counts.delete(digest)
    this.#sorted = undefined
  }

  get(tag: string): Descriptor | undefined {
    return this.#tags.get(tag)
  }

  /** @returns what it pointed at before */
  set(tag: string, target: Descriptor): Descriptor | undefined {
    const old = this.#tags.get(tag)
    if (old) this.#add(old.digest, -1)
    else this.#sorted = undefined
    this.#tags.set(tag, target)
    this.#add(target.digest, 1)
    return old
  }

  /** Every tag in the order of their bytes. The array is not changed later: a walk over it sees one moment. */
  sorted(): readonly string[] {
    this.#sorted ??= [...this.#tags.keys()].sort()
    return this.#sorted
  }

  #add(digest: Digest, count: number): void {
    const total = this.count(digest) + count
    if (total > 0) this.#counts.set(digest, total)
    else this.#counts.delete(digest)
  }
}
