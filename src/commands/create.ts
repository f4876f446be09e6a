import {Flags} from '@oclif/core'

import type {Repository} from '../registry/interfaces.js'

import {describe} from '../cli/describe.js'
import {shellCommand, table} from '../cli/format.js'
import {storeArg, StoreCommand} from '../cli/store-command.js'
import {InvalidArgumentError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
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
or objects of one whose configuration was lost, is left as it is.`,
    EXIT.alreadyExists,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --plaintext',
      description: 'in a registry',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci --plaintext --hashing SHA256',
      description: 'in a directory',
    },
  ]

  static override flags = {
    compression: Flags.boolean({allowNo: true, default: true, description: 'compress what is stored (LZ4)'}),
    hashing: Flags.string({default: 'BLAKE3', description: 'algorithm of every MAC', options: [...HASHINGS]}),
    plaintext: Flags.boolean({description: 'do not encrypt: whoever reads the registry reads the backups'}),
  }

  static override summary = 'make a new store'

  async run(): Promise<CreateResult> {
    const {args, flags} = await this.parse(Create)
    if (!flags.plaintext) {
      throw new InvalidArgumentError('creating an encrypted store is not supported yet', {
        suggestions: [
          'Make the encrypted store with plakar itself: everything else here works on it.',
          `For an unencrypted one: ${shellCommand('kloset-oci', 'create', args.store, '--plaintext')}`,
        ],
      })
    }

    const configuration = newConfiguration({
      compression: flags.compression ? 'LZ4' : 'none',
      hashing: flags.hashing as Hashing,
      now: systemClock.now(),
    })
    const create = async (repository: Repository) => {
      const bytes = await sealConfiguration(configuration)
      const {location} = await createStore(repository, bytes, {signal: this.signal})
      const result: CreateResult = {
        compression: configuration.compression?.algorithm ?? 'none',
        encryption: 'none',
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
