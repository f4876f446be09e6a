import {Flags} from '@oclif/core'

import type {SelfTestStep} from '../plugin/probe/self-test.js'

import {BaseCommand, outputFlags} from '../base-command/base-command.js'
import {textArg} from '../cli/args.js'
import {paint} from '../cli/colors.js'
import {describe} from '../cli/describe.js'
import {InvalidArgumentError} from '../errors.js'
import {EXIT, type ExitCode} from '../exit-codes.js'

export interface PluginResult {
  /** The plugin as one file; absent in a checkout that was not built with it. */
  readonly bundle?: string
  readonly calls: readonly string[]
  /** Keys that a store's configuration in plakar may have. */
  readonly options: readonly string[]
  readonly protocols: readonly string[]
  readonly selfTest?: {
    readonly location: string
    readonly ok: boolean
    readonly program: string
    readonly stderr: string
    readonly steps: readonly SelfTestStep[]
  }
  readonly service: string
}

/** Exit statuses by gRPC's status of the first call that failed. */
const EXITS: Readonly<Record<number, ExitCode>> = {
  3: EXIT.usage,
  5: EXIT.notFound,
  7: EXIT.auth,
  15: EXIT.damage,
  16: EXIT.auth,
}

/** Options whose values would be seen by every user of the machine. */
const SECRETS = new Set(['identity_token', 'password', 'secret_access_key', 'token'])

export default class Plugin extends BaseCommand {
  static override args = {
    store: textArg({description: 'oci://HOST[:PORT]/PATH or oci-layout:PATH: try the plugin on this store'}),
  }

  static override baseFlags = outputFlags

  static override description = describe(
    `A look at the plugin that plakar runs for oci:// stores. Without STORE it says what the plugin speaks and how it is configured.
With STORE it starts the plugin as plakar does, and runs the protocol against that store, reading only: Init, Ping, Mode, Open,
List of each kind, Close. To use it with plakar, make a package with \`plugin pack\`.`,
    EXIT.usage,
    EXIT.damage,
    EXIT.notFound,
    EXIT.unavailable,
    EXIT.auth,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %>', description: 'what it speaks, and its options'},
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main',
      description: 'does it reach this store, and what may it do there?',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --option username=backup --option password_file=/etc/backup/secret',
      description: "the same, with options as they would stand in plakar's configuration",
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --executable ./oci-plugin/kloset-oci-plugin',
      description: 'try the executable of a package instead',
    },
  ]

  static override flags = {
    executable: Flags.string({
      description: 'program to try (default: the plugin of this installation)',
      helpValue: 'PATH',
    }),
    option: Flags.string({
      description: 'an option as in the configuration of plakar; no secrets, they have options for files',
      helpValue: 'KEY=VALUE',
      multiple: true,
    }),
  }

  static override summary = 'try the plugin that plakar runs, and say how it is configured'

  async run(): Promise<PluginResult> {
    const {args, flags} = await this.parse(Plugin)
    const [{findBundle}, {optionNames}, {CALL_NAMES, SERVICE}] = await Promise.all([
      import('../plugin/pack/bundle.js'),
      import('../plugin/config.js'),
      import('../plugin/calls.js'),
    ])
    const bundle = await findBundle().catch((error: unknown) => {
      if (args.store === undefined || flags.executable !== undefined) return
      throw error
    })
    const result = {
      ...(bundle && {bundle: bundle.script}),
      calls: CALL_NAMES,
      options: optionNames(),
      protocols: ['oci'],
      service: SERVICE,
    }
    if (args.store === undefined) {
      this.#describe(result)
      return result
    }

    const program = flags.executable ?? bundle!.script
    const [command, ...words] = flags.executable === undefined ? [process.execPath, program] : [program]
    const {selfTest} = await import('../plugin/probe/self-test.js')
    const outcome = await selfTest({
      command: {args: words, program: command!},
      config: new Map([...optionsOf(flags.option ?? []), ['location', args.store]]),
      onStep: (step) => this.#printStep(step),
      signal: this.signal,
    })
    if (outcome.stderr !== '') this.note(outcome.stderr.trimEnd())
    const failed = outcome.steps.find(({status}) => status !== 0)
    if (failed) this.exitWith(EXITS[failed.status] ?? EXIT.unavailable)
    return {...result, selfTest: {location: args.store, program, ...outcome}}
  }

  #describe({bundle, calls, options, protocols, service}: PluginResult): void {
    this.print(
      `protocols  ${protocols.map((name) => `${name}://`).join(', ')}`,
      `service    ${service} of gRPC over stdin and stdout: ${calls.join(', ')}`,
      `options    ${options.join(', ')}`,
      `file       ${bundle ?? 'not built: npm run build'}`,
    )
    this.note('kloset-oci plugin STORE tries it; kloset-oci plugin pack makes a package for plakar; docs/plugin.md')
  }

  #printStep({call, detail, milliseconds, status}: SelfTestStep): void {
    const mark = status === 0 ? paint.green('ok    ') : paint.red('FAILED')
    this.print(`${mark}  ${call.padEnd(14)}  ${`${milliseconds} ms`.padStart(8)}  ${detail}`)
  }
}

/** @throws InvalidArgumentError */
function optionsOf(words: readonly string[]): [string, string][] {
  return words.map((word) => {
    const at = word.indexOf('=')
    const key = word.slice(0, Math.max(at, 0))
    if (key === '') throw new InvalidArgumentError(`--option ${word.slice(0, 60)}: write it as KEY=VALUE`)
    if (!SECRETS.has(key)) return [key, word.slice(at + 1)]
    throw new InvalidArgumentError(`--option ${key}: other users of this machine could read it`, {
      suggestions: ['Use password_file, token_file or auth_file'],
    })
  })
}
