import {Flags} from '@oclif/core'

import type {Repository} from '../registry/interfaces.js'

import {storeArg, StoreCommand} from '../base-command/store-command.js'
import {describe} from '../cli/describe.js'
import {table} from '../cli/format.js'
import {newPassphrase, passphraseFlags} from '../cli/passphrase.js'
import {EXIT} from '../exit-codes.js'
import {newEncryption} from '../kloset/codec/kdf.js'
import {formatUuid, newConfiguration, sealConfiguration} from '../kloset/configuration.js'
import {createStore} from '../kloset/create.js'
import {type Hashing, HASHINGS} from '../kloset/hashing.js'
import {systemClock} from '../util/clock.js'

export interface CreateResult {
  readonly compression: string
  readonly encryption: string
  readonly hashing: string
  readonly repositoryId: string
  readonly store: string
}

export default class Create extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Makes a new store that plakar opens too: writes its configuration and nothing else. A repository that holds a store,
or objects of one whose configuration was lost, is left as it is. The store is encrypted unless --plaintext: its passphrase
comes from a file, from PLAKAR_PASSPHRASE or from the terminal, and cannot be recovered when it is lost.`,
    EXIT.alreadyExists,
  )

  static override examples = [
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --passphrase-file ~/.keys/backups',
      description: 'an encrypted store in a registry',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci --plaintext --hashing SHA256',
      description: 'a plaintext one in a directory',
    },
  ]

  static override flags = {
    compression: Flags.boolean({allowNo: true, default: true, description: 'compress what is stored (LZ4)'}),
    hashing: Flags.string({default: 'BLAKE3', description: 'algorithm of every MAC', options: [...HASHINGS]}),
    ...passphraseFlags,
    plaintext: Flags.boolean({
      description: 'do not encrypt: whoever reads the registry reads the backups',
      exclusive: ['passphrase-file'],
    }),
  }

  static override summary = 'make a new store'

  async run(): Promise<CreateResult> {
    const {args, flags} = await this.parse(Create)
    const {signal} = this
    // Asked for before anything is made: a layout directory would be there already.
    const passphrase = flags.plaintext ? undefined : await newPassphrase(flags, signal)
    const create = async (repository: Repository) => {
      const sealed = passphrase === undefined ? undefined : await newEncryption(passphrase)
      const encryption = sealed?.configuration
      const configuration = newConfiguration({
        compression: flags.compression ? 'LZ4' : 'none',
        encryption,
        hashing: flags.hashing as Hashing,
        now: systemClock.now(),
      })
      const bytes = await sealConfiguration(configuration, sealed?.secret.bytes)
      const {location} = await createStore(repository, bytes, {signal})
      const result: CreateResult = {
        compression: configuration.compression?.algorithm ?? 'none',
        encryption: encryption?.dataAlgorithm ?? 'none',
        hashing: configuration.hashing.algorithm,
        repositoryId: formatUuid(configuration.repositoryId),
        store: location,
      }
      this.print(
        `created ${location}`,
        ...table([
          ['  repository', result.repositoryId],
          ['  encryption', result.encryption],
          ['  compression', result.compression],
          ['  hashing', result.hashing],
        ]),
      )
      return result
    }

    return this.withRepository(args.store, flags, create, {create: true})
  }
}
