import {Flags} from '@oclif/core'

import type {ProbeResult} from '../registry/probe/probe.js'

import {storeArg, StoreCommand} from '../base-command/store-command.js'
import {connectionOptions} from '../cli/connection.js'
import {describe} from '../cli/describe.js'
import {credentialResult, exitCodeOf, probeLine, skippedLines, summaryLine} from '../cli/probes.js'
import {EXIT} from '../exit-codes.js'

export interface DoctorResult {
  readonly location: string
  readonly probes: readonly ProbeResult[]
  readonly readOnly: boolean
}

export default class Doctor extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Finds out what a registry does by doing it: with blobs, manifests and tags of its own, which it removes again. It says what
will and what will not work, and what to do about it. Nothing that is there is touched, but for tags that a doctor, a bench or
a removal of ours has left when it was killed: they are removed.`,
    EXIT.notFound,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main',
      description: 'before the first backup',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --read-only',
      description: 'without writing anything',
    },
  ]

  static override flags = {
    'read-only': Flags.boolean({description: 'write nothing; what only writing can tell is skipped'}),
  }

  static override summary = 'find out what a registry can do'

  async run(): Promise<DoctorResult> {
    const {args, flags} = await this.parse(Doctor)
    const readOnly = flags['read-only']
    const {signal} = this
    const [{openProbe}, {probeRepository}] = await Promise.all([
      import('../registry/probe/open-probe.js'),
      import('../registry/probe/probe.js'),
    ])
    const options = await connectionOptions(flags, {signal, userAgent: this.config.userAgent})
    const target = await openProbe(args.store, {...options, signal})
    const probes: ProbeResult[] = []
    const onResult = (result: ProbeResult) => {
      probes.push(result)
      if (result.status !== 'skip') this.print(...probeLine(result))
    }

    try {
      onResult(await credentialResult(args.store, options.credentials, {signal}))
      await probeRepository(target.repository, target.context, {onResult, readOnly, removeLeftovers: true, signal})
    } finally {
      await target.close()
    }

    this.exitWith(exitCodeOf(probes))
    this.print(...skippedLines(probes), '', summaryLine(probes))
    return {location: target.repository.location, probes, readOnly}
  }
}
