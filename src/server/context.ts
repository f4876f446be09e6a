import type {OwnedRepository} from '../registry/local/owned-repository.js'
import type {Exchange} from './exchange.js'
import type {Root} from './roots/root.js'
import type {UploadSessions} from './uploads/sessions.js'

import {type Digest, isDigest} from '../registry/digest.js'
import {fault} from './faults.js'

/** What the handlers of requests share. */
export interface ServerContext {
  /** Whether blobs, manifests and tags may be deleted. */
  readonly deleteEnabled: boolean
  readonly root: Root
  readonly sessions: UploadSessions
  /** Takes manifests that name blobs and manifests which are not there. */
  readonly sparse: boolean
}

/** Answers requests of one kind. */
export type Handler<Route> = (context: ServerContext, exchange: Exchange, route: Route) => Promise<void>

/** @throws HttpFault 404 */
export async function existing({root}: ServerContext, name: string): Promise<OwnedRepository> {
  const repository = await root.open(name)
  if (repository) return repository
  throw fault.nameUnknown(name)
}

/** @throws HttpFault 400 */
export function checkedDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw fault.digestInvalid(text)
}
