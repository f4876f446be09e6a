import type {CallOptions} from '../interfaces.js'
import type {RemoteContext} from './context.js'

import {discard} from '../transport/body.js'

/** A Date header has whole seconds: it is half a second old on average. */
const HALF_SECOND = 500

/** What the registry's clock says, in milliseconds since the epoch; undefined when it does not say. */
export async function registryTime(context: RemoteContext, {signal}: CallOptions = {}): Promise<number | undefined> {
  const response = await context.send({access: 'pull', method: 'GET', signal, url: context.urls.api})
  await discard(response.body)
  const date = Date.parse(response.headers['date'] ?? '')
  return Number.isNaN(date) ? undefined : date + HALF_SECOND
}
