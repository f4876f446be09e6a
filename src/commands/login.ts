import {BaseCommand, outputFlags} from '../base-command/base-command.js'
import {credentialEnvironment, passwordFor, transportOptions} from '../cli/connection.js'
import {describe} from '../cli/describe.js'
import {ask} from '../cli/password.js'
import {parseRegistryName, registryArg} from '../cli/registry-arg.js'
import {registryFlags, type RegistryFlags} from '../cli/registry-flags.js'
import {hasCode, InvalidArgumentError} from '../errors.js'
import {type Credential, sameCredential} from '../registry/auth/credential.js'
import {anonymousCredentials, standardCredentials} from '../registry/auth/credentials.js'
import {saveLogin} from '../registry/auth/login-store.js'
import {openRepository, type RepositoryOptions} from '../registry/open.js'

export interface LoginResult {
  readonly file: string
  readonly helper: string | undefined
  /** The password lies in the file, for whoever can read it. */
  readonly plaintext: boolean
  readonly registry: string
  readonly username: string
  /** False when the registry asks nobody for a login: then nothing was proved. */
  readonly verified: boolean
}

export default class Login extends BaseCommand {
  static override args = {registry: registryArg}
  static override baseFlags = {...outputFlags, ...registryFlags}

  static override description = describe(
    `Tries a login at a registry and keeps it when it is good: with the credential helper that docker's configuration names for
the registry, or in the credential file. docker, podman and others then find it too. The password is never an argument: it is
asked for, piped in, or taken from KLOSET_OCI_PASSWORD.`,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> registry.example --username backup',
      description: 'ask for the password',
    },
    {
      command:
        'pass show registry | <%= config.bin %> <%= command.id %> registry.example --username backup --password-stdin',
      description: 'from a password store',
    },
  ]

  static override summary = 'keep a login for a registry'

  async run(): Promise<LoginResult> {
    const {args, flags} = await this.parse(Login)
    const {reference, registry} = parseRegistryName(args.registry)
    const {signal} = this
    const username = flags.username ?? (await ask(`user at ${registry}`, {signal, silent: false}))
    if (username === '') throw new InvalidArgumentError('the user name is empty')
    const password = await passwordFor(username, flags, signal)
    const credentials = standardCredentials({password, username})
    const options = transportOptions(flags, {userAgent: this.config.userAgent})
    const found = await credentials.credentialFor({registry})
    await ping(reference, {...options, credentials, signal})
    const verified = !(await answersAnyone(reference, {...options, signal}))
    const {file, helper, plaintext} = await saveLogin(registry, found!.credential, {file: flags.authfile, signal})
    this.print(`logged in to ${registry} as ${username}`)
    this.note(helper === undefined ? `kept in ${file}` : `kept by docker-credential-${helper}, named in ${file}`)
    if (plaintext) this.note('warning: the password lies in that file; docker credential helpers keep it better')
    const other = await this.#goesBefore(registry, found!.credential, flags)
    if (other !== undefined) this.note(`warning: another login goes before this one: ${other}`)
    if (!verified) this.note('warning: the registry asks nobody for a login, so the password was not tried')
    return {file, helper, plaintext, registry, username, verified}
  }

  /** Where the login comes from that other commands will use instead of this one. */
  async #goesBefore(
    registry: string,
    kept: Credential,
    flags: Pick<RegistryFlags, 'authfile'>,
  ): Promise<string | undefined> {
    try {
      const source = standardCredentials({env: credentialEnvironment(flags)})
      const used = await source.credentialFor({registry}, {signal: this.signal})
      if (!used || sameCredential(used.credential, kept)) return undefined
      return used.origin.file ?? `the ${used.origin.source}`
    } catch {
      // It is kept: what else stands in the way is for the next command to say.
      return undefined
    }
  }
}

async function ping(reference: string, options: RepositoryOptions): Promise<void> {
  const repository = await openRepository(reference, options)
  try {
    await repository.ping({signal: options.signal})
  } finally {
    await repository.close()
  }
}

/** Whether the registry lets in those who say nothing. */
async function answersAnyone(reference: string, options: RepositoryOptions): Promise<boolean> {
  try {
    await ping(reference, {...options, credentials: anonymousCredentials})
    return true
  } catch (error) {
    if (hasCode(error, 'UNAUTHORIZED') || hasCode(error, 'FORBIDDEN')) return false
    throw error
  }
}
