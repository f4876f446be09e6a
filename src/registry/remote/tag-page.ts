import type {RegistryResponseError} from '../errors.js'
import type {CallOptions} from '../interfaces.js'
import type {RemoteContext} from './context.js'

import {ProtocolError} from '../../errors.js'
import {isObject, isString} from '../../util/json.js'
import {responseError} from '../errors.js'
import {plainText, redactUrl} from '../redact.js'
import {isTag} from '../tag.js'
import {refuseEncoding} from './headers.js'
import {nextPage} from './link.js'

/** Some registries send every tag at once: room for about three million names of 74 characters. */
const MAX_PAGE_BYTES = 256 * 1024 * 1024

/** How a repository that does not exist is called, besides the specification's NAME_UNKNOWN. */
const UNKNOWN_NAME = ['NAME_UNKNOWN', 'NOT_FOUND', 'REPOSITORY_NOT_FOUND']

export interface TagPage {
  readonly next: undefined | URL
  readonly tags: readonly string[]
}

/** A page that was refused, or is not there. */
export class PageRefused {
  readonly error: RegistryResponseError

  constructor(error: RegistryResponseError) {
    this.error = error
  }

  /** Whether the repository does not exist. A web page or an empty 404 does not say so. */
  get unknownRepository(): boolean {
    return this.error.status === 404 && UNKNOWN_NAME.some((code) => this.error.names(code))
  }
}

/**
 * Reads one page of a tag list.
 * @returns `PageRefused` for a 4xx that may be about the parameters
 * @throws RegistryResponseError for 401, 403, 429 and 5xx; ProtocolError for what is no list of tags
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 */
export async function readTagPage(
  context: RemoteContext,
  url: URL,
  {signal}: CallOptions,
): Promise<PageRefused | TagPage> {
  const {bytes, response} = await context.read({signal, url}, {limit: MAX_PAGE_BYTES})
  const what = `GET ${redactUrl(url)}`
  if (!bytes) {
    const error = await responseError(response, 'GET')
    const final = error.status < 400 || error.status >= 500 || [401, 403, 408, 429].includes(error.status)
    if (final) throw error
    return new PageRefused(error)
  }

  refuseEncoding(response, what)
  return {next: nextPage(response.headers['link'], response.url, what), tags: parseTags(bytes, what)}
}

function parseTags(bytes: Buffer, what: string): readonly string[] {
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    // Without the parser's words: they repeat the text.
    const page = /^\s*</.test(bytes.subarray(0, 100).toString('latin1'))
    throw new ProtocolError(
      `${what}: ${page ? 'a web page was sent instead of a list of tags' : 'the list of tags is not JSON'}`,
      {
        suggestions: ['Check the address: a login page or a proxy may stand before the registry.'],
      },
    )
  }

  const tags = isObject(json) ? json['tags'] : undefined
  // Distribution 2.8 says null for none.
  if (tags === null) return []
  if (!Array.isArray(tags)) throw new ProtocolError(`${what}: no list of tags in the answer`)
  for (const tag of tags as unknown[]) {
    if (isString(tag) && isTag(tag)) continue
    const shown = isString(tag) ? JSON.stringify(plainText(tag, 80)) : 'something that is not text'
    throw new ProtocolError(`${what}: the list of tags holds ${shown}, which is no tag`)
  }

  return tags as string[]
}
