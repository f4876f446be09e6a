import {ProtocolError} from '../../errors.js'
import {plainText} from '../redact.js'
import {followed} from './urls.js'

/** One link of a `Link` header. */
interface Link {
  /** Relation types in lower case. */
  readonly relations: readonly string[]
  readonly target: string
}

const TARGET = /^[\t ,]*<([^>]*)>/
const PARAMETER = /^[\t ]*;[\t ]*([\w!#$%&'*+.^`|~-]+)[\t ]*(?:=[\t ]*("(?:[^"\\]|\\.)*"|[^\t ",;]+))?/

/**
 * The address of the next page: the first link with relation `next`.
 * @param base where the header came from: relative links start there, and the next page must have the same origin
 * @throws ProtocolError when the header cannot be read, or leads elsewhere: a list must not end short for that
 * @see https://www.rfc-editor.org/rfc/rfc8288#section-3
 */
export function nextPage(header: string | undefined, base: URL, what: string): undefined | URL {
  if (header === undefined || header.trim() === '') return undefined
  const next = parseLinks(header, what).find(({relations}) => relations.includes('next'))
  if (!next) return undefined
  const url = followed(next.target, base)
  if (!url) throw malformed(header, what)
  if (url.origin !== base.origin) {
    throw new ProtocolError(`${what}: the next page is at another host, ${url.host}`, {
      facts: {host: url.host},
      suggestions: ['Look for a proxy in between that does not pass on the host name (X-Forwarded-Host, Host).'],
    })
  }

  return url
}

function parseLinks(header: string, what: string): Link[] {
  const links: Link[] = []
  let rest = header
  for (;;) {
    const target = TARGET.exec(rest)
    if (!target) throw malformed(header, what)
    rest = rest.slice(target[0].length)
    const relations: string[] = []
    for (let parameter = PARAMETER.exec(rest); parameter; parameter = PARAMETER.exec(rest)) {
      rest = rest.slice(parameter[0].length)
      // Only the first `rel` counts.
      if (parameter[1]?.toLowerCase() === 'rel' && relations.length === 0) relations.push(...relationsOf(parameter[2]))
    }

    links.push({relations, target: target[1] ?? ''})
    const comma = /^[\t ]*(,[\t ,]*|;[\t ]*)?$/.exec(rest)
    if (comma) return links
    const separator = /^[\t ]*,[\t ,]*/.exec(rest)
    if (!separator) throw malformed(header, what)
    rest = rest.slice(separator[0].length)
  }
}

function relationsOf(value = ''): string[] {
  const text = value.startsWith('"') ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter((relation) => relation !== '')
}

function malformed(header: string, what: string): ProtocolError {
  // What follows a question mark may be a secret of the registry's.
  const shown = plainText(header.replaceAll(/\?[^\s>]*/g, '?…'), 200)
  return new ProtocolError(`${what}: cannot read the Link header ${JSON.stringify(shown)}`)
}
