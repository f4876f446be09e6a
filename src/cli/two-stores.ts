import {Flags} from '@oclif/core'

import {textArg} from './args.js'

export const fromArg = textArg({
  description: 'the store to read: oci://HOST[:PORT]/PATH or oci-layout:PATH',
  required: true,
})

/** Plain http for one of the two alone. */
export const twoStoreFlags = {
  'from-plain-http': Flags.boolean({
    allowNo: true,
    description: 'as --plain-http, for the first store alone',
    helpGroup: 'REGISTRY',
  }),
  'to-plain-http': Flags.boolean({
    allowNo: true,
    description: 'as --plain-http, for the second store alone',
    helpGroup: 'REGISTRY',
  }),
}
