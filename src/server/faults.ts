import {hasCode, KlosetOciError, LocalIoError} from '../errors.js'

/**
 * Codes of the specification. `UNKNOWN` is for failures of ours: the table has none for them.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
 */
export type FaultCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNKNOWN'
  | 'UNSUPPORTED'

export type Headers = Readonly<Record<string, number | readonly string[] | string>>

export interface FaultOptions {
  readonly cause?: unknown
  /** What the client may need to put it right. Never a path of this machine. */
  readonly detail?: unknown
  readonly headers?: Headers
}

/** A request that is refused or failed, as the client is told: status, code, a sentence. */
export class HttpFault extends Error {
  readonly code: FaultCode
  readonly detail: unknown
  readonly headers: Headers
  readonly status: number

  constructor(status: number, code: FaultCode, message: string, {cause, detail, headers = {}}: FaultOptions = {}) {
    super(message, cause === undefined ? undefined : {cause})
    this.name = 'HttpFault'
    this.code = code
    this.detail = detail
    this.headers = headers
    this.status = status
  }

  /** The body that the specification asks for. */
  toJSON(): {readonly errors: ReadonlyArray<Readonly<Record<string, unknown>>>} {
    const {code, detail, message} = this
    return {errors: [{code, message, ...(detail !== undefined && {detail})}]}
  }
}

export const fault = {
  blobUnknown: (digest: string) =>
    new HttpFault(404, 'BLOB_UNKNOWN', 'blob is not in the repository', {detail: {digest}}),
  digestInvalid: (digest: string) =>
    new HttpFault(400, 'DIGEST_INVALID', 'not a sha256 or sha512 digest', {detail: {digest: digest.slice(0, 160)}}),
  manifestUnknown: (reference: string) =>
    new HttpFault(404, 'MANIFEST_UNKNOWN', 'manifest is not in the repository', {detail: {reference}}),
  nameUnknown: (name: string) =>
    new HttpFault(404, 'NAME_UNKNOWN', 'repository is not on this server', {detail: {name}}),
  readOnly: () => new HttpFault(405, 'UNSUPPORTED', 'the server is read-only', {headers: {allow: 'GET, HEAD'}}),
  uploadUnknown: () => new HttpFault(404, 'BLOB_UPLOAD_UNKNOWN', 'no such upload: it is over, expired or never began'),
} as const

const NO_SPACE = new Set<unknown>(['EDQUOT', 'ENOSPC'])

/** What the client is told of any thrown value. Messages of the backends name local paths: they stay here. */
export function faultOf(error: unknown): HttpFault {
  if (error instanceof HttpFault) return error
  if (hasCode(error, 'INTEGRITY')) {
    const {actual, expected} = error.facts
    const detail = expected === undefined ? undefined : {actual, expected}
    return new HttpFault(400, 'DIGEST_INVALID', 'content is not what its digest says', {cause: error, detail})
  }

  if (hasCode(error, 'LOCKED')) {
    const headers = {'retry-after': 1}
    return new HttpFault(503, 'UNKNOWN', 'another process is writing to the repository', {cause: error, headers})
  }

  if (hasCode(error, 'INTERRUPTED')) return new HttpFault(503, 'UNKNOWN', 'interrupted', {cause: error})
  if (hasCode(error, 'UNSUPPORTED')) return new HttpFault(405, 'UNSUPPORTED', 'not supported here', {cause: error})
  if (error instanceof LocalIoError && NO_SPACE.has(error.facts['errno'])) {
    return new HttpFault(507, 'UNKNOWN', 'no space left on the server', {cause: error})
  }

  const what = error instanceof KlosetOciError ? 'the storage failed' : 'internal error'
  return new HttpFault(500, 'UNKNOWN', what, {cause: error})
}

/** Awaits a backend's answer and says "not found" in the protocol's own words. */
export async function orNotFound<T>(answer: Promise<T>, absent: () => HttpFault): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw hasCode(error, 'NOT_FOUND') ? absent() : error
  }
}
