import type {Digest} from '../digest.js'

/** The addresses of one repository. @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints */
export class RepositoryUrls {
  readonly #base: URL
  readonly #name: string

  constructor(base: URL, name: string) {
    this.#base = base
    this.#name = name
  }

  /** end-1 */
  get api(): URL {
    return new URL('/v2/', this.#base)
  }

  /** end-4a */
  get uploads(): URL {
    return this.#under('blobs/uploads/')
  }

  /** end-2, end-10 */
  blob(digest: Digest): URL {
    return this.#under(`blobs/${digest}`)
  }

  /** end-3, end-7, end-9 */
  manifest(reference: string): URL {
    return this.#under(`manifests/${reference}`)
  }

  /** end-11 */
  mount(digest: Digest, from: string): URL {
    const url = this.uploads
    url.search = `?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`
    return url
  }

  /** end-12a */
  referrers(digest: Digest): URL {
    return this.#under(`referrers/${digest}`)
  }

  /** end-8a, end-8b */
  tags({last, n}: {readonly last?: string | undefined; readonly n?: number | undefined} = {}): URL {
    const url = this.#under('tags/list')
    if (n !== undefined) url.searchParams.set('n', String(n))
    if (last !== undefined) url.searchParams.set('last', last)
    return url
  }

  #under(path: string): URL {
    return new URL(`/v2/${this.#name}/${path}`, this.#base)
  }
}

/**
 * A URL that the registry handed out, made absolute. The registry behind a proxy that ends TLS often writes `http`
 * for its own host: the scheme we came with is kept then.
 * @returns undefined when it is no http or https URL
 */
export function followed(text: string, base: URL): undefined | URL {
  let url: URL
  try {
    url = new URL(text, base)
  } catch {
    return undefined
  }

  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
  url.hash = ''
  url.username = ''
  url.password = ''
  if (base.protocol === 'https:' && url.protocol === 'http:' && url.hostname === base.hostname) {
    const port = url.port === '' ? '' : url.port
    if (port === '' || port === base.port) {
      url.protocol = 'https:'
      url.port = base.port
    }
  }

  return url
}
