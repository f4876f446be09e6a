import {Flags} from '@oclif/core'

import {exitCodeOf, type Finding, TIERS, verify, type VerifyProgress, type VerifySummary} from '../../checker/index.js'
import {describe} from '../../cli/describe.js'
import {FindingPrinter} from '../../cli/findings.js'
import {humanCount, humanSize} from '../../cli/format.js'
import {givenSecret, passphraseFlags} from '../../cli/passphrase.js'
import {storeArg, StoreCommand} from '../../cli/store-command.js'
import {verifyLines} from '../../cli/verify-summary.js'
import {EXIT} from '../../exit-codes.js'
import {KlosetStore} from '../../kloset/store.js'

export default class Verify extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Reads everything that a store has in a repository and proves it, as deep as the tier says, and changes nothing.
digest: every byte is what was written; no key is needed. mac: every object has the MAC that the store's key gives it, and
what says where things lie (configuration, states, the indexes of packfiles) is sound. data: every blob of every packfile
decodes to its own MAC, and every reference from one to another leads somewhere. Without --tier it is data, or digest for
an encrypted store whose passphrase is not given; which one it was is always said.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.auth,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --tier digest',
      description: 'near the data, without the key',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --passphrase-file key.txt',
      description: 'everything',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci --json | jq .verdict',
      description: 'for a script',
    },
  ]

  static override flags = {
    tier: Flags.option({
      description: 'how deep to look (default: as deep as the key allows)',
      options: TIERS,
    })(),
    ...passphraseFlags,
  }

  static override summary = "prove that a store's bytes, MACs and blobs are what they should be"

  async run(): Promise<VerifySummary> {
    const {args, flags} = await this.parse(Verify)
    const {concurrency, tier} = flags
    return this.withRepository(args.store, flags, async (repository) => {
      const progress = await this.startProgress(flags)
      const onProgress = (state: VerifyProgress) => progress.update(progressText(state))
      const secret = tier === 'digest' ? undefined : await givenSecret(new KlosetStore(repository), flags, this.signal)
      const run = verify(repository, {concurrency, onProgress, secret, signal: this.signal, tier})
      const json = this.jsonEnabled() ? this.streamJson({store: repository.location}, 'findings') : undefined
      const printer = new FindingPrinter()
      const show = async (found: Finding) => (json ? json.item(found) : printer.print(found))
      for await (const found of run) await show(found)
      progress.stop()
      await printer.end()
      const {summary} = run
      this.exitWith(exitCodeOf(summary))
      const {findings: severities, ...rest} = summary
      if (json) await this.endJson({...rest, severities})
      else this.print(...(printer.hasPrinted ? [''] : []), ...verifyLines(summary))
      return summary
    })
  }
}

function progressText({bytes, done, phase, total}: VerifyProgress): string {
  return `${phase}: ${humanCount(done)} of ${humanCount(total)}, ${humanSize(bytes)} read`
}
