import {inspect} from 'node:util'

const SHOWN = '[secret]'

/**
 * The key of an encrypted store. It shows itself nowhere: not in messages, JSON or the inspector.
 * `bytes` is for the code that computes with it, and never for output.
 */
export class Secret {
  readonly #bytes: Buffer

  /** The bytes are copied. */
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes)
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  [inspect.custom](): string {
    return SHOWN
  }

  toJSON(): string {
    return SHOWN
  }

  toString(): string {
    return SHOWN
  }

  /** Overwrites the bytes: whoever uses the secret afterwards works with zeros. */
  wipe(): void {
    this.#bytes.fill(0)
  }
}
