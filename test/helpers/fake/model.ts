import {createHash} from 'node:crypto'

/**
 * What the fake registry holds and how it can be made to behave. Nothing here comes from `src/`: it is written from
 * the distribution specification, so that it can judge the client.
 */

export type TagPaging =
  /** Pages with a Link header: the specification's way. */
  | 'last'
  /** Pages without Link; `last` goes on. */
  | 'last-wraps'
  /** As `last`, but a `last` behind the end begins again at the start (go-containerregistry's registry). */
  | 'link'
  /** Pages cut at the cap, no Link, `last` ignored: the list cannot be read to its end. */
  | 'mute'
  /** Everything at once, `n` and `last` ignored (distribution 2.8). */
  | 'none'

export type LinkForm =
  'absolute' | 'junk' | 'loop' | 'many' | 'offsite' | 'opaque' | 'parameters' | 'relative' | 'same-page'

export interface FakeOptions {
  /** Manifests may name blobs that are not here. */
  readonly acceptDanglingManifests?: boolean
  readonly auth?: 'basic' | 'bearer' | 'none'
  /** `redirect`: blobs are served by a second origin, which must see no credential. */
  readonly blobs?: 'direct' | 'redirect'
  readonly chunkMinLength?: number
  /** `keeps-tags`: the digest goes, its tags stay (go-containerregistry). */
  readonly digestDelete?: 'keeps-tags' | 'lies' | 'off' | 'on' | 'refused-while-tagged'
  readonly digestHeader?: 'missing' | 'right' | 'wrong'
  readonly headBlobs?: 'no-length' | 'off' | 'on'
  readonly headManifests?: 'no-length' | 'off' | 'on'
  readonly immutableTags?: boolean
  readonly linkForm?: LinkForm
  readonly location?: 'absolute' | 'other-origin' | 'relative'
  readonly maxChunk?: number
  readonly maxMonolithic?: number
  /** A tag list with a larger `n` is a 400; 0 refuses any `n`. */
  readonly maxN?: number
  /** Status of a PUT beyond `maxMonolithic`. */
  readonly monolithicStatus?: number
  /** `full`: 201 for a blob that is there. `ignored`: always 202. `lies`: 201 whatever is there. */
  readonly mount?: 'full' | 'ignored' | 'lies' | 'refused'
  readonly patchAnswer?: 'no-location' | 'right' | 'status-201' | 'stuck-range'
  readonly ranges?: 'ignored' | 'no-header' | 'right' | 'strict-end' | 'wrong-end' | 'wrong-start' | 'wrong-total'
  readonly referrers?: boolean
  /** Status for a `last` that is no tag; by default it is only a position. */
  readonly staleLast?: number
  readonly tagDelete?: 'cascade' | 'digest-invalid' | 'lies' | 'off' | 'untag'
  readonly tagOrder?: 'ascii' | 'fold' | 'insertion'
  readonly tagPage?: number
  readonly tagPaging?: TagPaging
}

/** Changes the answer to the requests it matches. The first fault that matches is used. */
export interface Fault {
  /** Runs before the request is handled. */
  readonly before?: () => void
  readonly body?: Buffer | string
  /** The normal answer, cut off after that many bytes of its body, and the connection closed. */
  readonly dropAfter?: number
  /** Closes the connection after that many bytes of the request's body, without an answer. */
  readonly dropRequestAfter?: number
  /** A body without end. */
  readonly endless?: boolean
  /** Never answers; or, with a number, stops in the middle of the normal answer's body. */
  readonly hang?: boolean | number
  /** Headers of the normal answer that are changed, or left out when undefined. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly html?: boolean
  /** Changes the body of the normal answer. */
  readonly mangle?: (body: Buffer) => Buffer
  readonly method?: string
  /** Matched against path and query. */
  readonly path?: RegExp
  /** Leaves that many matching requests alone first. */
  readonly skip?: number
  /** This answer instead of the normal one. */
  readonly status?: number
  /** How often; default 1. */
  readonly times?: number
}

export interface LoggedRequest {
  readonly authorization: string | undefined
  bodyBytes: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly method: string
  readonly origin: 'registry' | 'storage'
  /** Path and query. */
  readonly path: string
  status: number | undefined
}

export interface StoredManifest {
  readonly bytes: Buffer
  readonly mediaType: string
}

export interface UploadState {
  bytes: Buffer
  readonly id: string
  /** Changes with every answer: only the latest Location is good. */
  state: string
}

export class FakeRepository {
  readonly blobs = new Map<string, Buffer>()
  readonly manifests = new Map<string, StoredManifest>()
  /** In the order in which they were made. */
  readonly tags = new Map<string, string>()
  readonly uploads = new Map<string, UploadState>()

  /** Puts a blob in without a request. */
  addBlob(content: Buffer | string): {digest: string; size: number} {
    const bytes = Buffer.from(content)
    const digest = sha256(bytes)
    this.blobs.set(digest, bytes)
    return {digest, size: bytes.length}
  }

  /** Puts a one-layer image under a tag without a request. */
  addImage(tag: string, content: Buffer | string, annotations: Record<string, string> = {}): string {
    const config = this.addBlob('{}')
    const layer = this.addBlob(content)
    const bytes = Buffer.from(
      JSON.stringify({
        annotations,
        config: {mediaType: 'application/vnd.oci.image.config.v1+json', ...config},
        layers: [{mediaType: 'application/octet-stream', ...layer}],
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        schemaVersion: 2,
      }),
    )
    const digest = sha256(bytes)
    this.manifests.set(digest, {bytes, mediaType: 'application/vnd.oci.image.manifest.v1+json'})
    this.tags.set(tag, digest)
    return digest
  }
}

export function sha256(bytes: Buffer | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export const DIGEST = /^(sha256:[\da-f]{64}|sha512:[\da-f]{128})$/
export const TAG = /^\w[\w.-]{0,127}$/

export function digestLike(bytes: Buffer, digest: string): string {
  const algorithm = digest.slice(0, digest.indexOf(':'))
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}
