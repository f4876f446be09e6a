import {Flags} from '@oclif/core'

import {storeArg, StoreCommand} from '../../base-command/store-command.js'
import {textArg} from '../../cli/args.js'
import {writeWhole} from '../../cli/atomic-file.js'
import {readConfigFile} from '../../cli/config-file.js'
import {describe} from '../../cli/describe.js'
import {shellCommand} from '../../cli/format.js'
import {givenPassphrase, passphraseFlags} from '../../cli/passphrase.js'
import {EXIT} from '../../exit-codes.js'
import {unlock} from '../../kloset/codec/kdf.js'
import {formatUuid, openConfiguration} from '../../kloset/configuration.js'
import {type ConfigProof, importConfig, proofWords, readSoundConfig} from '../../repair/config-copy.js'

export interface ConfigImportResult {
  /** Whether its MAC was checked: not for an encrypted store without its passphrase. */
  readonly macChecked: boolean
  readonly proof: ConfigProof
  /** Where what was there before is kept. */
  readonly replacedKeptIn?: string
  readonly repositoryId: string
  readonly store: string
  /** False when the same configuration was there already. */
  readonly written: boolean
}

export default class ConfigImport extends StoreCommand {
  static override args = {
    store: storeArg,
    file: textArg({description: 'what `config export` has saved', required: true}),
  }

  static override description = describe(
    `Puts a saved configuration back into a store that has lost its own, or whose own is damaged. The file is checked, and
tried on the objects that are there: another store's is refused. A sound configuration is not replaced. What is replaced
is kept beside the file, and what was written is read back.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.alreadyExists,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main main.config',
      description: 'when gc-check says config-missing',
    },
  ]

  static override flags = {
    ...passphraseFlags,
    'replace-sound-config': Flags.boolean({
      description: 'also over another configuration that is sound: what was written with that one cannot be read then',
    }),
  }

  static override summary = 'put a saved configuration back'

  async run(): Promise<ConfigImportResult> {
    const {args, flags} = await this.parse(ConfigImport)
    const {signal} = this
    const bytes = await readConfigFile(args.file)
    const {encryption} = await openConfiguration(bytes, {what: args.file})
    const passphrase = await givenPassphrase(flags, signal)
    const secret = encryption && passphrase !== undefined ? await unlock(encryption, passphrase) : undefined
    const config = await readSoundConfig(bytes, {secret})
    return this.withRepository(args.store, flags, async (repository) => {
      const kept = `${args.file}.replaced`
      const {proof, replaced, written} = await importConfig(repository, config, {
        keep: async (before) => writeWhole(kept, before),
        replaceSound: flags['replace-sound-config'],
        secret,
        signal,
      })
      const repositoryId = formatUuid(config.configuration.repositoryId)
      this.print(
        written
          ? `put the configuration of ${repositoryId} back, and read it again`
          : `the same configuration was there already: ${repositoryId}`,
      )
      this.note(proofWords(proof))
      if (!config.isAuthentic) this.note('warning: its MAC was not checked, that needs the passphrase')
      if (replaced) this.note(`what was there before is kept in ${kept}`)
      this.note(`next: ${shellCommand('kloset-oci', 'gc-check', args.store)}`)
      return {
        macChecked: config.isAuthentic,
        proof,
        ...(replaced && {replacedKeptIn: kept}),
        repositoryId,
        store: repository.location,
        written,
      }
    })
  }
}
