import {Flags} from '@oclif/core'

import {storeArg} from '../base-command/store-command.js'
import {TwoStoresCommand} from '../base-command/two-stores-command.js'
import {describe} from '../cli/describe.js'
import {DiffPrinter, diffSummaryLines, identityLine} from '../cli/differences.js'
import {humanCount} from '../cli/format.js'
import {fromArg, twoStoreFlags} from '../cli/two-stores.js'
import {keepYoungGenerationSmall} from '../cli/young-generation.js'
import {NotFoundError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {type Resource, RESOURCES} from '../kloset/resource.js'
import {diffExitCode, diffStores, type DiffSummary} from '../transfer/index.js'

export default class Diff extends TwoStoresCommand {
  static override args = {left: fromArg, right: storeArg}

  static override description = describe(
    `Compares two stores object by object, and changes nothing: what only one of them has, and what both have and differs, with
the layer at which it parts (manifest, layer digest, size, presence; with --deep every byte against its digest). The same
content under other manifests is no difference. Exit codes: 0 equal, 65 an object differs or is damaged on one side, 69 some
could not be compared, 75 nothing differs but one side has objects that the other has not.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.partial,
  )

  static override examples = [
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main oci://other.example/mirror/main',
      description: 'is the mirror up to date?',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main oci-layout:/mnt/usb/main.oci --deep',
      description: 'read everything on both sides',
    },
  ]

  static override flags = {
    deep: Flags.boolean({description: 'read every byte of both sides and check it against its digest'}),
    resource: Flags.string({
      description: 'only this kind, besides CONFIG; several times for several (default: packfile and state)',
      multiple: true,
      options: [...RESOURCES],
    }),
    ...twoStoreFlags,
  }

  static override summary = 'compare two stores, object by object'

  async run(): Promise<DiffSummary> {
    const {args, flags} = await this.parse(Diff)
    const {concurrency, deep, resource} = flags
    if (!deep) keepYoungGenerationSmall()
    return this.withBoth({from: args.left, to: args.right}, flags, {create: false}, async (left, right) => {
      if (!right) throw new NotFoundError(`${args.right}: no image layout there`)
      const progress = await this.startProgress(flags)
      const onProgress = ({done, total}: {done: number; total: number}) =>
        progress.update(`compared ${humanCount(done)} of ${humanCount(total)} tags`)
      const resources = resource && (resource as Resource[])
      const diff = diffStores(left, right, {concurrency, deep, onProgress, resources, signal: this.signal})
      const identity = await diff.identity()
      const head = {left: left.location, right: right.location, identity}
      const json = this.jsonEnabled() ? this.streamJson(head, 'entries') : undefined
      this.print(identityLine(identity))
      const printer = new DiffPrinter()
      for await (const entry of diff) await (json ? json.item(entry) : printer.print(entry))
      progress.stop()
      await printer.end()
      const {summary} = diff
      this.exitWith(diffExitCode(summary))
      if (json) await this.endJson({...summary})
      else this.print(...diffSummaryLines(summary))
      return summary
    })
  }
}
