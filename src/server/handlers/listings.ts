import type {Descriptor} from '../../registry/descriptor.js'

import {MEDIA_TYPE} from '../../registry/media-types.js'
import {checkedDigest, existing, type Handler} from '../context.js'
import {type Exchange} from '../exchange.js'
import {HttpFault} from '../faults.js'

/** A page of referrers stays below this, which is what clients take for a manifest. */
const MAX_REFERRERS_BYTES = 3 * 1024 * 1024
/** Names are joined to pieces of about this size before they are sent. */
const PIECE_CHARACTERS = 64 * 1024

/** `GET /v2/<name>/tags/list`: sorted by bytes, in pages when `n` asks for them. */
export const handleTags: Handler<{readonly name: string}> = async (context, exchange, {name}) => {
  const {last, n} = pageOf(exchange)
  const repository = await existing(context, name)
  const tags = await repository.sortedTags()
  const from = last === undefined ? 0 : firstAfter(tags, last)
  const page = tags.slice(from, from + n)
  const isMore = page.length > 0 && from + page.length < tags.length
  const link = isMore ? linkTo(`/v2/${name}/tags/list`, {last: page.at(-1) ?? '', n: String(n)}) : {}
  await sendNames(exchange, link, {head: `{"name":${JSON.stringify(name)},"tags":[`, names: page})
}

/** `GET /v2/_catalog`: the repositories that the client may read. */
export const handleCatalog: Handler<unknown> = async ({root}, exchange) => {
  const {last, n} = pageOf(exchange)
  const names = await root.names()
  const from = last === undefined ? 0 : firstAfter(names, last)
  const page = names.slice(from, from + n)
  const isMore = page.length > 0 && from + page.length < names.length
  const link = isMore ? linkTo('/v2/_catalog', {last: page.at(-1) ?? '', n: String(n)}) : {}
  await sendNames(exchange, link, {head: '{"repositories":[', names: page})
}

/** `GET /v2/<name>/referrers/<digest>`: manifests with that subject, as an index. */
export const handleReferrers: Handler<{readonly digest: string; readonly name: string}> = async (
  context,
  exchange,
  {digest: text, name},
) => {
  const subject = checkedDigest(text)
  const artifactType = exchange.query.get('artifactType') ?? ''
  const last = exchange.query.get('last') ?? ''
  const repository = await context.root.open(name)
  const found: Descriptor[] = []
  if (repository) {
    for await (const referrer of repository.referrers(subject)) {
      if (artifactType === '' || referrer.artifactType === artifactType) found.push(referrer)
    }
  }

  found.sort((left, right) => (left.digest < right.digest ? -1 : 1))
  const manifests: Descriptor[] = []
  let size = 0
  let isMore = false
  for (const referrer of found) {
    if (referrer.digest <= last) continue
    size += JSON.stringify(referrer).length
    isMore = size > MAX_REFERRERS_BYTES && manifests.length > 0
    if (isMore) break
    manifests.push(referrer)
  }

  const next = {last: manifests.at(-1)?.digest ?? '', ...(artifactType !== '' && {artifactType})}
  await exchange.json(
    200,
    {manifests, mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2},
    {
      'content-type': MEDIA_TYPE.imageIndex,
      ...(artifactType !== '' && {'oci-filters-applied': 'artifactType'}),
      ...(isMore && linkTo(`/v2/${name}/referrers/${subject}`, next)),
    },
  )
}

/** Index of the first name behind `last` in a sorted list. */
function firstAfter(names: readonly string[], last: string): number {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((names[middle] ?? '') <= last) low = middle + 1
    else high = middle
  }

  return low
}

function linkTo(path: string, parameters: Readonly<Record<string, string>>): {readonly link: string} {
  return {link: `<${path}?${new URLSearchParams(parameters).toString()}>; rel="next"`}
}

/** @throws HttpFault 400 when `n` is no number */
function pageOf({query}: Exchange): {readonly last: string | undefined; readonly n: number} {
  const text = query.get('n')
  if (text !== null && !/^\d{1,9}$/.test(text)) {
    throw new HttpFault(400, 'UNSUPPORTED', 'n is not a number', {detail: {n: text.slice(0, 40)}})
  }

  const last = query.get('last')
  return {last: last === null || last === '' ? undefined : last, n: text === null ? Infinity : Number(text)}
}

async function sendNames(
  exchange: Exchange,
  headers: {readonly link?: string},
  {head, names}: {readonly head: string; readonly names: readonly string[]},
): Promise<void> {
  const all = {'content-type': 'application/json', ...headers}
  await (exchange.isHead ? exchange.empty(200, all) : exchange.stream(200, all, piecesOf(head, names)))
}

async function* piecesOf(head: string, names: readonly string[]): AsyncGenerator<string> {
  let piece = head
  for (const [index, name] of names.entries()) {
    piece += `${index === 0 ? '' : ','}${JSON.stringify(name)}`
    if (piece.length < PIECE_CHARACTERS) continue
    yield piece
    piece = ''
  }

  yield `${piece}]}\n`
}
