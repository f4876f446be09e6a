import type {HttpClient, HttpHeaders, HttpRequest, HttpResponse} from './http.js'

import {ProtocolError} from '../../errors.js'
import {redactUrl} from '../redact.js'
import {discard} from './body.js'

const MAX_REDIRECTS = 5

/** Headers that may follow a redirect to another origin. Everything else may be a credential there. */
const PORTABLE = new Set(['accept', 'content-length', 'content-range', 'content-type', 'if-none-match', 'range'])

/**
 * Follows redirects: 301, 302 and 303 of GET and HEAD, 307 and 308 of every method, body included. Credentials stay
 * with the origin (scheme, host, port) they were meant for: once a redirect has left it they are gone, also when a
 * later one comes back. From https it never goes on to http.
 */
export function withRedirects(inner: HttpClient): HttpClient {
  return {
    close: () => inner.close(),
    async send(request) {
      let current = request
      for (let hops = 0; ; hops++) {
        const response = await inner.send(current)
        const target = targetOf(current, response)
        if (!target) return response
        await discard(response.body)
        if (hops === MAX_REDIRECTS) {
          throw new ProtocolError(
            `${request.method} ${redactUrl(request.url)}: redirected more than ${MAX_REDIRECTS} times`,
            {facts: {status: response.status}},
          )
        }

        current = next(current, target)
      }
    },
  }
}

function targetOf(request: HttpRequest, {headers, status}: HttpResponse): undefined | URL {
  const {location} = headers
  if (location === undefined || request.redirect === 'manual' || !follows(request.method, status)) return undefined
  const where = `${request.method} ${redactUrl(request.url)}`
  let target: URL
  try {
    target = new URL(location, request.url)
  } catch {
    throw new ProtocolError(`${where}: redirected (${status}) to something that is not a URL`, {facts: {status}})
  }

  if (target.protocol !== 'https:' && target.protocol !== 'http:') {
    throw new ProtocolError(`${where}: redirected (${status}) to a ${target.protocol} URL`, {facts: {status}})
  }

  if (request.url.protocol === 'https:' && target.protocol === 'http:') {
    throw new ProtocolError(`${where}: redirected (${status}) from https to plain http at ${target.host}`, {
      facts: {status},
      suggestions: ['The registry must redirect to https: check its storage or proxy settings.'],
    })
  }

  if (request.redirect === 'same-origin' && target.origin !== request.url.origin) {
    throw new ProtocolError(`${where}: redirected (${status}) to another host, ${target.host}`, {facts: {status}})
  }

  target.username = ''
  target.password = ''
  target.hash = ''
  return target
}

function follows(method: string, status: number): boolean {
  if (status === 307 || status === 308) return true
  return (status === 301 || status === 302 || status === 303) && (method === 'GET' || method === 'HEAD')
}

function next(request: HttpRequest, url: URL): HttpRequest {
  return {
    ...request,
    headers: url.origin === request.url.origin ? request.headers : portable(request.headers ?? {}),
    url,
  }
}

function portable(headers: HttpHeaders): HttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => PORTABLE.has(name.toLowerCase())))
}
