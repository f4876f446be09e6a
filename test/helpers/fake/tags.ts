import type {Exchange} from './exchange.js'
import type {FakeOptions, FakeRepository} from './model.js'

import {TAG} from './model.js'

const DEFAULT_PAGE = 10_000

/** `GET /v2/<name>/tags/list` in all its variants. */
export function listTags(exchange: Exchange, repository: FakeRepository | undefined, options: FakeOptions): void {
  const {url} = exchange
  for (const key of url.searchParams.keys()) {
    if (!['cursor', 'last', 'n', 'page'].includes(key)) exchange.violate(`unknown parameter ${key}`)
  }

  const n = readN(exchange)
  if (n === 'bad') return
  if (!repository) {
    exchange.error(404, 'NAME_UNKNOWN')
    return
  }

  if (n !== undefined && options.maxN !== undefined && n > options.maxN) {
    exchange.error(400, 'PAGINATION_NUMBER_INVALID')
    return
  }

  const all = sortTags([...repository.tags.keys()], options.tagOrder ?? 'ascii')
  const paging = options.tagPaging ?? 'link'
  const cap = options.tagPage ?? DEFAULT_PAGE
  const start = paging === 'none' || paging === 'mute' ? 0 : startOf(exchange, all, options)
  if (start === undefined) return
  const size = paging === 'none' ? all.length : Math.min(n ?? cap, cap)
  const page = all.slice(start, start + size)
  const headers: Record<string, string> = {'content-type': 'application/json'}
  if (paging === 'link' && start + size < all.length) {
    headers['link'] = linkOf(exchange, {last: page.at(-1) ?? '', n: n ?? cap, start: start + size}, options)
  }

  const name = url.pathname.slice('/v2/'.length, -'/tags/list'.length)
  exchange.send(200, headers, JSON.stringify({name, tags: page}))
}

function readN(exchange: Exchange): 'bad' | number | undefined {
  const text = exchange.url.searchParams.get('n')
  if (text === null) return undefined
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  exchange.violate(`n=${text}`)
  exchange.error(400, 'PAGINATION_NUMBER_INVALID')
  return 'bad'
}

function startOf(exchange: Exchange, all: string[], options: FakeOptions): number | undefined {
  const parameters = exchange.url.searchParams
  const cursor = parameters.get('cursor')
  if (cursor !== null) {
    const start = Number(Buffer.from(cursor, 'base64url').toString().replace('at:', ''))
    if (Number.isSafeInteger(start)) return start
    exchange.violate('a cursor that was never handed out')
    exchange.error(400)
    return undefined
  }

  const last = parameters.get('last')
  if (last === null) return 0
  if (!TAG.test(last)) {
    exchange.violate(`last=${last}`)
    exchange.error(400)
    return undefined
  }

  const position = all.indexOf(last)
  if (position === -1 && options.staleLast !== undefined) {
    exchange.send(options.staleLast)
    return undefined
  }

  const compare = comparer(options.tagOrder ?? 'ascii')
  const start = position === -1 ? all.findIndex((tag) => compare(tag, last) > 0) : position + 1
  if (start !== -1 && start < all.length) return start
  return options.tagPaging === 'last-wraps' ? 0 : all.length
}

function linkOf(exchange: Exchange, next: {last: string; n: number; start: number}, options: FakeOptions): string {
  const {url} = exchange
  const plain = `${url.pathname}?last=${encodeURIComponent(next.last)}&n=${next.n}`
  const opaque = `${url.pathname}?cursor=${Buffer.from(`at:${next.start}`).toString('base64url')}%3D%3D&n=${next.n}`
  switch (options.linkForm ?? 'relative') {
    case 'absolute': {
      return `<${url.origin}${plain}>; rel="next"`
    }

    case 'junk': {
      return 'next please'
    }

    case 'loop': {
      return `<${url.pathname}?n=${next.n}>; rel="next"`
    }

    case 'many': {
      return `<${url.pathname}?n=1>; rel="first", <${plain}>; rel="next", <${url.pathname}?n=2>; rel=last`
    }

    case 'offsite': {
      return `<http://elsewhere.invalid${plain}>; rel="next"`
    }

    case 'opaque': {
      return `<${opaque}>; rel="next"`
    }

    case 'parameters': {
      return `<${plain}> ; title="a, \\"b\\"; rel=prev" ;REL = "start Next"; type=text/plain`
    }

    case 'relative': {
      return `<${plain}>; rel="next"`
    }

    case 'same-page': {
      return `<${url.pathname}?n=${next.n}&page=${Math.random()}>; rel="next"`
    }
  }
}

function byAscii(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function comparer(order: 'ascii' | 'fold' | 'insertion'): (a: string, b: string) => number {
  return order === 'fold' ? (a, b) => byAscii(a.toLowerCase(), b.toLowerCase()) || byAscii(a, b) : byAscii
}

function sortTags(tags: string[], order: 'ascii' | 'fold' | 'insertion'): string[] {
  return order === 'insertion' ? tags : tags.sort(comparer(order))
}

/** `GET /v2/<name>/referrers/<digest>`. */
export function listReferrers(exchange: Exchange, repository: FakeRepository | undefined, subject: string): void {
  const manifests = []
  for (const [digest, {bytes, mediaType}] of repository?.manifests ?? []) {
    const json = JSON.parse(bytes.toString()) as Record<string, unknown>
    if ((json['subject'] as undefined | {digest?: string})?.digest !== subject) continue
    const config = json['config'] as undefined | {mediaType: string}
    const artifactType = json['artifactType'] ?? config?.mediaType
    manifests.push({annotations: json['annotations'], artifactType, digest, mediaType, size: bytes.length})
  }

  const body = {manifests, mediaType: 'application/vnd.oci.image.index.v1+json', schemaVersion: 2}
  exchange.send(200, {'content-type': 'application/vnd.oci.image.index.v1+json'}, JSON.stringify(body))
}
