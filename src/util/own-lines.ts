import {InvalidArgumentError} from '../errors.js'

/** Tells a file whose lines a program appends to from one that is somebody else's, and must not be written to. */
export class OwnLines {
  readonly #beginning: string
  #isOurs = false

  /** @param beginning of the first line: what is left of one that a crash cut off shows it */
  constructor(beginning: string) {
    this.#beginning = beginning
  }

  /** A line that was read, and says that the file is ours. */
  found(): void {
    this.#isOurs = true
  }

  /** @param what the file should be, as in "ledger of a mirror" @throws InvalidArgumentError when no line was ours */
  require(path: string, what: string): void {
    if (this.#isOurs) return
    throw new InvalidArgumentError(`${path}: is there and is no ${what}`, {
      suggestions: ['Name another file: a new one is begun where there is none. Nothing was written to this one.'],
    })
  }

  /** A line that cannot be read: of a first one so much may be there that it is known. */
  unreadable(line: string): void {
    this.#isOurs ||= line.startsWith(this.#beginning) || this.#beginning.startsWith(line)
  }
}
