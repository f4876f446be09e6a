import {createHash} from 'node:crypto'

import type {CallOptions, Repository} from '../registry/interfaces.js'

import {type Mac} from '../kloset/mac.js'
import {KlosetStore} from '../kloset/store.js'

/** One value for the set of states that a store has: another one whenever a state comes or goes. */
export async function statesDigest(repository: Repository, options?: CallOptions): Promise<string> {
  const macs: Mac[] = []
  for await (const mac of new KlosetStore(repository).list('state', options)) macs.push(mac)
  return createHash('sha256').update(macs.sort().join(' ')).digest('hex')
}
