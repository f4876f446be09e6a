import {Flags} from '@oclif/core'

import {BaseCommand} from '../base-command/base-command.js'
import {describe} from '../cli/describe.js'
import {parseRegistryName, registryArg} from '../cli/registry-arg.js'
import {NotFoundError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {eraseLogin} from '../registry/auth/login-store.js'

export interface LogoutResult {
  readonly file: string
  readonly helper: string | undefined
  readonly registry: string
}

export default class Logout extends BaseCommand {
  static override args = {registry: registryArg}

  static override description = describe(
    `Forgets the login that is kept for a registry, in the credential file and with its helper. The registry is not contacted.`,
    EXIT.notFound,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> registry.example', description: 'forget the login'},
  ]

  static override flags = {
    authfile: Flags.string({description: "credential file, instead of docker's", helpValue: 'FILE'}),
  }

  static override summary = 'forget the login of a registry'

  async run(): Promise<LogoutResult> {
    const {args, flags} = await this.parse(Logout)
    const {registry} = parseRegistryName(args.registry)
    const place = await eraseLogin(registry, {file: flags.authfile, signal: this.signal})
    if (!place) {
      throw new NotFoundError(`${registry}: no login is kept`, {
        facts: {registry},
        suggestions: [
          'A login may also come from the environment (KLOSET_OCI_USERNAME) or from another credential file.',
        ],
      })
    }

    this.print(`logged out of ${registry}`)
    this.note(`taken out of ${place.helper === undefined ? place.file : `docker-credential-${place.helper}`}`)
    return {file: place.file, helper: place.helper, registry}
  }
}
