import {Flags, type Interfaces} from '@oclif/core'

/** How a registry is reached and who we are there: flags of every command that opens a store. */
export const registryFlags = {
  authfile: Flags.string({
    description: 'credential file to look in before the usual docker and podman ones (or set REGISTRY_AUTH_FILE)',
    helpGroup: 'REGISTRY',
    helpValue: 'FILE',
  }),
  'ca-file': Flags.string({
    description: 'certificate authority to trust besides the system ones, PEM',
    helpGroup: 'REGISTRY',
    helpValue: 'FILE',
  }),
  'cert-file': Flags.string({
    dependsOn: ['key-file'],
    description: 'client certificate to show, PEM',
    helpGroup: 'REGISTRY',
    helpValue: 'FILE',
  }),
  concurrency: Flags.integer({
    default: 8,
    description: 'requests at the same time, 1 to 64',
    helpGroup: 'REGISTRY',
    helpValue: 'N',
    max: 64,
    min: 1,
  }),
  'insecure-skip-tls-verify': Flags.boolean({
    description: 'take any certificate of any host: for trying things out only',
    helpGroup: 'REGISTRY',
  }),
  'key-file': Flags.string({
    dependsOn: ['cert-file'],
    description: 'private key of the client certificate, PEM',
    helpGroup: 'REGISTRY',
    helpValue: 'FILE',
  }),
  'password-stdin': Flags.boolean({
    dependsOn: ['username'],
    description: 'read the password of --username from standard input (or set KLOSET_OCI_PASSWORD)',
    helpGroup: 'REGISTRY',
  }),
  'plain-http': Flags.boolean({
    allowNo: true,
    description: 'speak http, not https; by default a loopback host does and no other',
    helpGroup: 'REGISTRY',
  }),
  retries: Flags.integer({
    default: 4,
    description: 'times to try again after a failure that may pass, 0 to 20',
    helpGroup: 'REGISTRY',
    helpValue: 'N',
    max: 20,
    min: 0,
  }),
  timeout: Flags.integer({
    description: 'seconds to wait for an answer, and for the next byte of one (default 300 and 60)',
    helpGroup: 'REGISTRY',
    helpValue: 'SECONDS',
    max: 86_400,
    min: 1,
  }),
  username: Flags.string({
    description: 'user to log in as, instead of a stored login (or set KLOSET_OCI_USERNAME)',
    helpGroup: 'REGISTRY',
    helpValue: 'NAME',
  }),
  verbose: Flags.boolean({
    char: 'v',
    description: 'log every request on standard error, without secrets',
    helpGroup: 'OUTPUT',
  }),
}

export type RegistryFlags = Interfaces.InferredFlags<typeof registryFlags>
