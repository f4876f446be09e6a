import {Flags} from '@oclif/core'

import {storeArg, StoreCommand} from '../../base-command/store-command.js'
import {writeWhole} from '../../cli/atomic-file.js'
import {readIfThere} from '../../cli/config-file.js'
import {describe} from '../../cli/describe.js'
import {shellCommand} from '../../cli/format.js'
import {givenSecret, passphraseFlags} from '../../cli/passphrase.js'
import {AlreadyExistsError} from '../../errors.js'
import {EXIT} from '../../exit-codes.js'
import {formatUuid} from '../../kloset/configuration.js'
import {KlosetStore} from '../../kloset/store.js'
import {type ConfigProof, proofWords, proveConfig, readSoundConfig} from '../../repair/config-copy.js'

export interface ConfigExportResult {
  readonly file: string
  /** Whether its MAC was checked: not for an encrypted store without its passphrase. */
  readonly macChecked: boolean
  readonly proof: ConfigProof
  readonly repositoryId: string
  readonly size: number
  readonly store: string
}

export default class ConfigExport extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Saves a store's configuration in a file: some hundred bytes without which nothing in the store can be read, by whoever has
the passphrase. It is checked first, and tried on the store's objects: a damaged one is not saved. Keep the file away
from the registry. It holds no passphrase and no key.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.alreadyExists,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main -o main.config',
      description: 'after the store was made, and once more never',
    },
  ]

  static override flags = {
    force: Flags.boolean({description: 'replace a file that holds something else'}),
    output: Flags.string({char: 'o', description: 'where to save it', helpValue: 'FILE', required: true}),
    ...passphraseFlags,
  }

  static override summary = "save a store's configuration in a file"

  async run(): Promise<ConfigExportResult> {
    const {args, flags} = await this.parse(ConfigExport)
    const {force, output: file} = flags
    return this.withRepository(args.store, flags, async (repository) => {
      const {signal} = this
      const store = new KlosetStore(repository)
      const secret = await givenSecret(store, flags, signal)
      const config = await readSoundConfig(await store.getConfig({signal}), {secret})
      const proof = await proveConfig(repository, config.configuration, {secret, signal})
      const before = await readIfThere(file)
      if (before && !before.equals(config.bytes) && !force) {
        throw new AlreadyExistsError(`${file}: holds something else`, {
          facts: {file},
          suggestions: ['Give another file. To replace it: --force.'],
        })
      }

      if (!before?.equals(config.bytes)) await writeWhole(file, config.bytes)
      const result: ConfigExportResult = {
        file,
        macChecked: config.isAuthentic,
        proof,
        repositoryId: formatUuid(config.configuration.repositoryId),
        size: config.bytes.length,
        store: repository.location,
      }
      this.print(`saved the configuration of ${result.repositoryId} in ${file}, ${result.size} bytes`)
      this.note(proofWords(proof))
      this.note(`to put it back: ${shellCommand('kloset-oci', 'config', 'import', args.store, file)}`)
      return result
    })
  }
}
