import {existsSync} from 'node:fs'

import {BaseCommand, outputFlags} from '../../base-command/base-command.js'
import {connectionOptions, credentialEnvironment} from '../../cli/connection.js'
import {describe} from '../../cli/describe.js'
import {shellCommand} from '../../cli/format.js'
import {parseRegistryName, registryArg} from '../../cli/registry-arg.js'
import {registryFlags} from '../../cli/registry-flags.js'
import {credentialFilePaths} from '../../registry/auth/credential-paths.js'
import {type CredentialExplanation, explainCredential} from '../../registry/auth/credentials.js'

export interface AuthExplainResult extends CredentialExplanation {
  /** Credential files in the order in which they are looked through. */
  readonly files: readonly {readonly exists: boolean; readonly path: string}[]
}

export default class AuthExplain extends BaseCommand {
  static override args = {host: registryArg}

  static override baseFlags = {...outputFlags, ...registryFlags}

  static override description = describe(
    `Says which login would be used for a registry and where it comes from: the options, the environment, a credential file or
a helper of docker or podman. Nothing is sent to the registry, and no secret is printed. Give a whole reference
(oci://HOST/PATH) where logins are kept for a part of a registry. A helper may ask its own store for the password.`,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> registry.example', description: 'why does it not let me in?'},
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --json | jq .origin',
      description: 'for a script',
    },
  ]

  static override summary = 'say which login would be used for a registry, and from where'

  async run(): Promise<AuthExplainResult> {
    const {args, flags} = await this.parse(AuthExplain)
    const {registry, repository} = parseRegistryName(args.host)
    const {credentials} = await connectionOptions(flags, {signal: this.signal, userAgent: this.config.userAgent})
    const explained = await explainCredential({registry, repository}, credentials, {signal: this.signal})
    const files = credentialFilePaths(credentialEnvironment(flags)).map((path) => ({exists: existsSync(path), path}))
    const result = {...explained, files}
    this.print(...lines(result))
    return result
  }
}

function lines({files, found, kind, origin, registry, username}: AuthExplainResult): string[] {
  const looked = files.map(({exists, path}) => `  ${exists ? 'looked in' : 'not there'}  ${path}`)
  if (!found || !origin) {
    return [
      `${registry}: no login: requests are sent without one`,
      '  not set    --username; KLOSET_OCI_USERNAME and KLOSET_OCI_PASSWORD, or KLOSET_OCI_TOKEN, for this host',
      ...looked,
      `next: ${shellCommand('kloset-oci', 'login', registry)}`,
    ]
  }

  const {file, helper, source} = origin
  const who = username === undefined ? `a login of kind ${kind}` : `user ${username}`
  const through = helper === undefined ? '' : `, through docker-credential-${helper}`
  return [
    `${registry}: ${who}, from ${file ?? `the ${source}`}${through}`,
    ...(source === 'options' || source === 'environment' ? [] : looked),
  ]
}
