import {writeOut} from './output.js'

/** Text is gathered up to this before it is written: one write per object would cost more than the object. */
const CHUNK_CHARACTERS = 64 * 1024

/**
 * One JSON document whose only long member is an array, written item by item: memory does not grow with it.
 * Each item is on a line of its own. Whatever happens in the middle, `end` makes the document whole.
 */
export class JsonStream {
  #count = 0
  #pending: string

  /** @param head members before the array, at least one */
  constructor(head: Readonly<Record<string, unknown>>, name: string) {
    this.#pending = `${JSON.stringify(head, undefined, 2).slice(0, -2)},\n  ${JSON.stringify(name)}: [`
  }

  /** Closes the array, adds the members that are known only now, at least one, and writes the rest. */
  async end(tail: Readonly<Record<string, unknown>>): Promise<void> {
    const members = JSON.stringify(tail, undefined, 2).slice(2)
    this.#pending += `${this.#count === 0 ? '' : '\n  '}],\n${members}\n`
    await this.#flush()
  }

  async item(value: unknown): Promise<void> {
    this.#pending += `${this.#count === 0 ? '\n' : ',\n'}    ${JSON.stringify(value)}`
    this.#count++
    if (this.#pending.length >= CHUNK_CHARACTERS) await this.#flush()
  }

  async #flush(): Promise<void> {
    const text = this.#pending
    this.#pending = ''
    await writeOut(text)
  }
}
