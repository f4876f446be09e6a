import type {Repository} from '../interfaces.js'

import {openRepository, type RepositoryOptions} from '../open.js'
import {originOf, parseLocation} from '../reference.js'
import {RemoteContext} from '../remote/context.js'
import {createHttpClient, retryPolicyOf} from '../transport/client.js'

export interface ProbeTarget {
  close(): Promise<void>
  /** Of the registry; none for a directory. */
  readonly context: RemoteContext | undefined
  readonly repository: Repository
}

/**
 * Opens a location for `probeRepository`.
 * @throws InvalidReferenceError | InvalidArgumentError before anything is contacted
 * @throws NotFoundError when there is no layout
 */
export async function openProbe(location: string, options: RepositoryOptions = {}): Promise<ProbeTarget> {
  const parsed = parseLocation(location)
  const repository = await openRepository(location, options)
  if (parsed.kind === 'layout') return {close: async () => repository.close(), context: undefined, repository}
  const {registry, repository: name} = parsed.reference
  const origin = originOf(registry, {plainHttp: options.plainHttp})
  const client = createHttpClient({...options, origin, registry, repository: name})
  const context = new RemoteContext({
    baseUrl: origin,
    chunkBytes: 1,
    client,
    concurrency: 1,
    durable: false,
    location: repository.location,
    maxSkipBytes: 0,
    name,
    policy: retryPolicyOf(options),
    readOnly: options.readOnly ?? false,
  })
  const close = async () => {
    client.close()
    await repository.close()
  }

  return {close, context, repository}
}
