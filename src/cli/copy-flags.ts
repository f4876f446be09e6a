import {Flags, type Interfaces} from '@oclif/core'

import type {CopyOptions} from '../transfer/index.js'

import {type Resource, RESOURCES} from '../kloset/resource.js'
import {passphraseFlags} from './passphrase.js'
import {twoStoreFlags} from './two-stores.js'

/** How objects are copied: flags of `copy` and `mirror`. */
export const copyFlags = {
  durable: Flags.boolean({
    description: 'ask the target again for every blob and manifest after it was written, before it counts',
  }),
  overwrite: Flags.boolean({description: 'replace packfiles and states that the target has with other content'}),
  quick: Flags.boolean({
    description: "believe the target's tags: do not ask whether the content of each is still there",
  }),
  resource: Flags.string({
    description: 'only this kind, besides CONFIG; several times for several (default: packfile and state)',
    multiple: true,
    options: [...RESOURCES],
  }),
  verify: Flags.string({
    default: 'digest',
    description: "what is checked of every object that passes: its digest, or the envelope's MAC too",
    options: ['digest', 'mac'],
  }),
  ...twoStoreFlags,
  ...passphraseFlags,
}

type CopyFlags = Interfaces.InferredFlags<typeof copyFlags> & {readonly concurrency: number}

/** The same as the layer below has it. */
export function copyOptionsOf(flags: CopyFlags) {
  const {concurrency, overwrite, quick, resource, verify} = flags
  return {
    concurrency,
    overwrite,
    quick,
    resources: resource && (resource as Resource[]),
    verify: verify as 'digest' | 'mac',
  } satisfies CopyOptions
}
