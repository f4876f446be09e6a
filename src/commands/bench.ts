import {Flags} from '@oclif/core'

import {storeArg, StoreCommand} from '../base-command/store-command.js'
import {connectionOptions} from '../cli/connection.js'
import {describe} from '../cli/describe.js'
import {humanSize, plural, table} from '../cli/format.js'
import {EXIT} from '../exit-codes.js'
import {benchRepository, type BenchResult, type PhaseResult} from '../registry/bench.js'
import {openRepository} from '../registry/open.js'
import {parseLocation} from '../registry/reference.js'
import {type RequestEvent} from '../registry/transport/options.js'

export interface BenchCommandResult extends BenchResult {
  readonly concurrency: number
  readonly location: string
  readonly objectBytes: number
  readonly objects: number
  readonly rangeBytes: number
  readonly ranges: number
}

const MAX_TOTAL_BYTES = 1024 * 1024 * 1024
const KIB = 1024

export default class Bench extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Measures a registry with random objects of its own, which it removes again: put, head, get, ranged get, delete; operations
and bytes a second, latencies, requests per MiB. It reads and touches nothing that is there. By default it moves some
megabytes; ranged reads are what plakar's check and restore consist of. What it wrote and could not remove it names, and
what no tag leads to the registry's garbage collection takes.`,
    EXIT.notFound,
    EXIT.partial,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main', description: 'some megabytes'},
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/scratch --objects 8 --size-kib 65536 --concurrency 4',
      description: 'objects as large as packfiles, half a gigabyte',
    },
  ]

  static override flags = {
    objects: Flags.integer({default: 16, description: 'objects to write', helpValue: 'N', max: 10_000, min: 1}),
    'range-kib': Flags.integer({
      default: 64,
      description: 'size of each ranged read',
      helpValue: 'KIB',
      max: 65_536,
      min: 1,
    }),
    ranges: Flags.integer({default: 128, description: 'ranged reads', helpValue: 'N', max: 100_000, min: 0}),
    'size-kib': Flags.integer({
      default: 512,
      description: 'size of each object; all of them have at most 1 GiB and lie in memory',
      helpValue: 'KIB',
      max: 65_536,
      min: 1,
    }),
  }

  static override summary = 'measure requests and bytes a second against this registry'

  async run(): Promise<BenchCommandResult> {
    const {args, flags} = await this.parse(Bench)
    const {concurrency, objects, ranges} = flags
    const [objectBytes, rangeBytes] = [flags['size-kib'] * KIB, flags['range-kib'] * KIB]
    if (objects * objectBytes > MAX_TOTAL_BYTES) this.error('more than 1 GiB in all', {exit: EXIT.usage})
    const options = await connectionOptions(flags, {signal: this.signal, userAgent: this.config.userAgent})
    let requests = 0
    const onRequest = (event: RequestEvent) => {
      requests++
      options.onRequest?.(event)
    }

    const isRegistry = parseLocation(args.store).kind === 'registry'
    const repository = await openRepository(args.store, {...options, onRequest, signal: this.signal})
    try {
      const progress = await this.startProgress(flags)
      const result = await benchRepository(repository, {
        concurrency,
        objectBytes,
        objects,
        onPhase: (phase) => progress.update(`measuring ${phase}`),
        rangeBytes,
        ranges,
        requests: isRegistry ? () => requests : undefined,
        signal: this.signal,
      })
      progress.stop()
      const failed = result.phases.some((phase) => phase.failed > 0)
      if (failed || result.leftovers.length > 0) this.exitWith(EXIT.partial)
      this.print(
        `${plural(objects, 'object')} of ${humanSize(objectBytes)}, ${plural(ranges, 'range')} of ${humanSize(rangeBytes)}, ${concurrency} at the same time`,
        '',
        ...table(
          [HEAD, ...result.phases.map((phase) => row(phase))],
          HEAD.map((_, index) => ({align: index === 0 ? 'left' : 'right'})),
        ),
      )
      for (const failure of result.failures) this.note(`warning: ${failure}`)
      if (result.leftovers.length > 0) {
        this.note(`warning: could not remove again: ${result.leftovers.slice(0, 20).join(', ')}`)
        this.note("next: remove these tags with the registry's own interface: no store uses them")
      }

      return {...result, concurrency, location: repository.location, objectBytes, objects, rangeBytes, ranges}
    } finally {
      await repository.close()
    }
  }
}

const HEAD = [
  '',
  'done',
  'failed',
  'a second',
  'bytes/s',
  'p50 ms',
  'p95 ms',
  'p99 ms',
  'max ms',
  'requests',
  'per MiB',
]

function row(result: PhaseResult): string[] {
  const {bytes, bytesPerSecond, failed, latency, operations, operationsPerSecond, phase, requests} = result
  const ms = (value: number) => (value < 10 ? value.toFixed(1) : String(Math.round(value)))
  return [
    phase,
    String(operations),
    String(failed),
    operationsPerSecond < 10 ? operationsPerSecond.toFixed(1) : String(Math.round(operationsPerSecond)),
    bytes === 0 ? '-' : humanSize(bytesPerSecond),
    ms(latency.p50),
    ms(latency.p95),
    ms(latency.p99),
    ms(latency.max),
    requests === undefined ? '-' : String(requests),
    result.requestsPerMiB === undefined ? '-' : result.requestsPerMiB.toFixed(1),
  ]
}
