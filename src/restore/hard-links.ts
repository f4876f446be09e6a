import type {Entry} from '../kloset/snapshot/index.js'

/** Files with several names that wait for the others; those beyond are restored as files of their own. */
const MAX_WAITING = 1_000_000

interface Waiting {
  left: number
  /** The path that was restored first; undefined when it could not be. */
  readonly path: Promise<string | undefined>
}

/** Which names belong to one file: the first is restored, the others are links to it. */
export class HardLinks {
  readonly #waiting = new Map<string, Waiting>()

  /**
   * Restores the first name of a file by `restore`, and gives the path of the first for the others.
   * @returns undefined when the path was restored (or failed) here, else the path to link to
   */
  async first(entry: Entry, path: string, restore: () => Promise<boolean>): Promise<string | undefined> {
    const key = keyOf(entry)
    if (key === undefined) {
      await restore()
      return undefined
    }

    const known = this.#waiting.get(key)
    if (known) {
      known.left -= 1
      if (known.left === 0) this.#waiting.delete(key)
      const first = await known.path
      if (first !== undefined) return first
      await restore()
      return undefined
    }

    const restored = restore()
    const settled = restored.then(
      (isThere) => (isThere ? path : undefined),
      () => undefined, // eslint-disable-line unicorn/no-useless-undefined -- the type asks for it
    )
    if (this.#waiting.size < MAX_WAITING) this.#waiting.set(key, {left: entry.info.nlink - 1, path: settled})
    await restored
    return undefined
  }
}

/** The same file on the same disk with the same content: what says otherwise is not believed. */
function keyOf({info: {dev, ino, nlink}, object}: Entry): string | undefined {
  return nlink > 1 && ino !== 0n ? `${dev} ${ino} ${object ?? ''}` : undefined
}
