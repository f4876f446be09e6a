/** Header fields of a request, checked to be a sound HTTP/2 request. */
export interface RequestHead {
  readonly fields: ReadonlyMap<string, string>
  readonly method: string
  readonly path: string
}

/** What the decoded fields of one request may add up to, counted as the protocol does. */
export const MAX_HEADER_LIST_BYTES = 16 * 1024

const FIELD_OVERHEAD = 32

const PSEUDO = new Set([':authority', ':method', ':path', ':scheme'])

const CONNECTION_SPECIFIC = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])

const NAME = /^[!#$%&'*+.^_`|~\da-z-]+$/

const BAD_VALUE = /[\0\n\r]/

/**
 * Gathers the fields of one header block. Errors are remembered, not thrown: the block has to be decoded to its end
 * to keep the connection's compression state.
 */
export class HeadBuilder {
  #bad = false
  readonly #fields = new Map<string, string>()
  readonly #pseudo = new Map<string, string>()
  #size = 0

  get tooLarge(): boolean {
    return this.#size > MAX_HEADER_LIST_BYTES
  }

  add(name: string, value: string): void {
    this.#size += name.length + value.length + FIELD_OVERHEAD
    if (this.#bad || this.tooLarge) return
    if (name.startsWith(':')) this.#addPseudo(name, value)
    else this.#addField(name, value)
  }

  /** Whether the block is a sound end of a request's body. */
  isTrailers(): boolean {
    return !this.#bad && !this.tooLarge && this.#pseudo.size === 0
  }

  /** @returns undefined when the block is not a sound request */
  request(): RequestHead | undefined {
    const method = this.#pseudo.get(':method')
    const path = this.#pseudo.get(':path')
    if (this.#bad || !method || !path || !this.#pseudo.get(':scheme')) return undefined
    return {fields: this.#fields, method, path}
  }

  #addField(name: string, value: string): void {
    if (!NAME.test(name) || BAD_VALUE.test(value) || CONNECTION_SPECIFIC.has(name)) this.#bad = true
    else if (name === 'te' && value !== 'trailers') this.#bad = true
    else {
      const before = this.#fields.get(name)
      this.#fields.set(name, before === undefined ? value : `${before}, ${value}`)
    }
  }

  #addPseudo(name: string, value: string): void {
    if (!PSEUDO.has(name) || this.#pseudo.has(name) || this.#fields.size > 0) this.#bad = true
    else this.#pseudo.set(name, value)
  }
}
