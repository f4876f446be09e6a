import type {HttpResponse} from '../transport/http.js'

import {IntegrityError, ProtocolError} from '../../errors.js'
import {algorithmOf, type Digest, isDigest} from '../digest.js'
import {plainText} from '../redact.js'

/** Reading the headers that registries answer with. None of them is relied on to be there. */

/** `Content-Length`, when there is a usable one. */
export function contentLength({headers}: HttpResponse): number | undefined {
  const text = headers['content-length']
  if (text === undefined || !/^\d{1,15}$/.test(text.trim())) return undefined
  return Number(text)
}

/** `Content-Type` in lower case, without its parameters; empty when there is none. */
export function mediaTypeOf({headers}: HttpResponse): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

/** `Docker-Content-Digest`, when it is one of an algorithm that we can check. */
export function digestHeader({headers}: HttpResponse): Digest | undefined {
  const text = headers['docker-content-digest']?.trim()
  return text !== undefined && isDigest(text) ? text : undefined
}

/** @throws IntegrityError when the registry names another digest of the same algorithm than `expected` */
export function checkDigestHeader(response: HttpResponse, expected: Digest, what: string): void {
  const actual = digestHeader(response)
  if (actual === undefined || actual === expected || algorithmOf(actual) !== algorithmOf(expected)) return
  throw new IntegrityError(`${what}: registry names digest ${actual}, expected ${expected}`, {
    facts: {actual, expected},
  })
}

/** @throws ProtocolError when the body is compressed on the way: we ask for bytes as they are, and hash those */
export function refuseEncoding({headers}: HttpResponse, what: string): void {
  const encoding = headers['content-encoding']?.trim().toLowerCase()
  if (!encoding || encoding === 'identity') return
  throw new ProtocolError(
    `${what}: answered with Content-Encoding ${plainText(encoding, 40)}, which was not asked for`,
    {
      suggestions: ['Look for a proxy in between that compresses answers, and turn that off for the registry.'],
    },
  )
}

export interface ContentRange {
  /** Last byte, as the header has it. */
  readonly end: number
  readonly start: number
  /** Size of the whole content; undefined for `*`. */
  readonly total: number | undefined
}

/** `Content-Range: bytes start-end/total`. @see https://www.rfc-editor.org/rfc/rfc9110#section-14.4 */
export function contentRange({headers}: HttpResponse): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(headers['content-range']?.trim() ?? '')
  if (!match) return undefined
  return {end: Number(match[2]), start: Number(match[1]), total: match[3] === '*' ? undefined : Number(match[3])}
}

/** The size that a 416 names: `Content-Range` without a range. */
export function unsatisfiedTotal({headers}: HttpResponse): number | undefined {
  const match = /^bytes \*\/(\d{1,15})$/i.exec(headers['content-range']?.trim() ?? '')
  return match ? Number(match[1]) : undefined
}
