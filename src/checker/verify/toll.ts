import type {Mac} from '../../kloset/mac.js'
import type {DamagedPaths, Finding} from '../findings.js'

/** Paths of one finding that are told by name. */
const MAX_PATHS = 20

/** Snapshots of one finding that are told by name. */
const MAX_SNAPSHOTS = 1000

/** What one damage costs. */
export class Toll {
  #count = 0
  readonly #first: string[] = []
  readonly #hidden = new Set<string>()
  #isHidden = false
  #last: string | undefined
  readonly #snapshots = new Set<Mac>()

  /** A file of a snapshot; no path for something that it needs as a whole. */
  charge(snapshot: Mac, path: string | undefined): void {
    this.#snapshots.add(snapshot)
    if (path === undefined) return
    // A file's chunks come one after another: it is counted once.
    const pair = `${snapshot} ${path}`
    if (pair === this.#last) return
    this.#last = pair
    this.#count += 1
    if (this.#first.length < MAX_PATHS && !this.#first.includes(path)) this.#first.push(path)
  }

  /** A part of a tree, and with it everything between two paths. */
  hide(
    snapshot: Mac,
    {before, from}: {readonly before?: string | undefined; readonly from?: string | undefined},
  ): void {
    this.#snapshots.add(snapshot)
    this.#isHidden = true
    const whole = from === undefined && before === undefined
    const range = whole
      ? 'everything'
      : `${from ?? 'the first'} to ${before === undefined ? 'the last' : `before ${before}`}`
    if (this.#hidden.size < MAX_PATHS) this.#hidden.add(range)
  }

  /** @param isWhole whether every state could be read, so that every snapshot was looked at */
  on(found: Finding, {isWhole}: {readonly isWhole: boolean}): Finding {
    // Of a state or the configuration nothing is known this way.
    const isMapped = found.blob !== undefined || found.object?.resource === 'packfile' || this.#snapshots.size > 0
    if (!isMapped) return found
    const paths: DamagedPaths = {
      complete: isWhole && !this.#isHidden,
      count: this.#count,
      first: [...this.#first],
      ...(this.#hidden.size > 0 && {hidden: [...this.#hidden]}),
    }
    const own = Array.isArray(found.snapshots) ? (found.snapshots as Mac[]) : []
    const snapshots = new Set([...own, ...this.#snapshots])
    return {...found, paths, snapshots: [...snapshots].slice(0, MAX_SNAPSHOTS)}
  }
}
