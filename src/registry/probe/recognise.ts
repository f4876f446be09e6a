import type {CallOptions} from '../interfaces.js'
import type {RemoteContext} from '../remote/context.js'

import {type Product, productOfTraces} from '../products.js'
import {discard} from '../transport/body.js'

/** Which product answers, by what its answers give away: for advice, never for a decision. */
export async function recogniseProduct(
  context: RemoteContext,
  {signal}: CallOptions = {},
): Promise<Product | undefined> {
  const response = await context.send({access: 'pull', method: 'GET', signal, url: context.urls.api})
  await discard(response.body)
  return productOfTraces({authenticate: response.headers['www-authenticate'], headers: response.headers})
}
