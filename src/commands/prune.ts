import {Flags} from '@oclif/core'
import {existsSync} from 'node:fs'
import {resolve} from 'node:path'

import {absoluteLocation, planLines, RepairCommand, runFlags} from '../base-command/repair-command.js'
import {storeArg} from '../base-command/store-command.js'
import {writeWhole} from '../cli/atomic-file.js'
import {describe} from '../cli/describe.js'
import {humanCount, humanSize, plural, shellCommand} from '../cli/format.js'
import {givenSecret, passphraseFlags} from '../cli/passphrase.js'
import {keepYoungGenerationSmall} from '../cli/young-generation.js'
import {InvalidArgumentError, LockedError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {KlosetStore} from '../kloset/store.js'
import {isInFolder} from '../registry/reference.js'
import {applyRepair, type ApplyResult, encodePlan, idOf, journalPathOf} from '../repair/index.js'
import {type FreedResidue, removeResidue} from '../repair/prune-residue.js'
import {planPrune, type PrunePlan, type PruneResidue} from '../repair/prune.js'
import {Quarantine} from '../repair/quarantine.js'

const DAY_MS = 24 * 60 * 60 * 1000

export interface PruneResult {
  readonly applied: boolean
  readonly apply?: ApplyResult
  readonly freed?: FreedResidue
  readonly kept: readonly string[]
  readonly plan: PrunePlan['plan']
  readonly planFile?: string
  readonly residue: {readonly blobs: PruneResidue['blobs']; readonly manifests: number}
  readonly size: number
  readonly store: string
}

export default class Prune extends RepairCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Finds what nothing in a store needs any more: packfiles that no state knows and that are older than the time of grace,
locks without a holder and, in a directory, manifests and blobs that nothing leads to. Without --yes it only says so. It
refuses while anything could not be listed or read, while the store is damaged, and while anybody works on it. What it
removes lies in the quarantine first, and \`repair undo PLAN\` puts it back. Snapshots are not its business: what plakar has
deleted is left to \`plakar maintenance\`.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.partial,
    EXIT.unknownVersion,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main', description: 'what could go'},
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main -o prune.json',
      description: 'as a plan, for `repair apply prune.json`',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main -o prune.json --yes',
      description: 'plan and do it',
    },
  ]

  static override flags = {
    grace: Flags.integer({
      default: 7,
      description: 'what is younger stays: a backup under way may need it',
      helpValue: 'DAYS',
      max: 3650,
      min: 1,
    }),
    'lock-wait': runFlags['lock-wait'],
    output: Flags.string({char: 'o', description: 'file that the plan is written to', helpValue: 'PLAN'}),
    ...passphraseFlags,
    quarantine: runFlags.quarantine,
    yes: Flags.boolean({char: 'y', description: 'remove, instead of saying what would go; needs -o'}),
  }

  static override summary = 'remove what nothing in a store needs any more, planning first'

  async run(): Promise<PruneResult> {
    const {args, flags} = await this.parse(Prune)
    keepYoungGenerationSmall()
    const {output, yes = false} = flags
    if (yes && output === undefined) {
      throw new InvalidArgumentError('--yes needs -o PLAN: its journal and its quarantine lie beside the plan')
    }

    if (output !== undefined && existsSync(journalPathOf(resolve(output)))) throw alreadyBegun(output)
    const open = await this.opener(flags)
    const graceMs = flags.grace * DAY_MS
    const repository = await open(absoluteLocation(args.store), {})
    try {
      const progress = await this.startProgress(flags)
      const secret = await givenSecret(new KlosetStore(repository), flags, this.signal)
      const pruned = await planPrune(repository, {
        concurrency: flags.concurrency,
        graceMs,
        onProgress: ({done}) => progress.update(`looking at the store: ${humanCount(done)}`),
        secret,
        signal: this.signal,
      })
      progress.stop()
      const {kept, plan, residue, size} = pruned
      if (output !== undefined) await writeWhole(output, encodePlan(plan))
      this.print(...planLines(plan), ...summaryLines(pruned))
      const planned = {
        kept,
        plan,
        ...(output !== undefined && {planFile: output}),
        residue: {blobs: residue.blobs, manifests: residue.manifests.length},
        size,
        store: repository.location,
      }
      if (!yes || output === undefined) {
        if (!isEmpty(pruned)) this.print('', `next: ${nextCommand(args.store, output)}`)
        return {applied: false, ...planned}
      }

      const sealed = {id: idOf(plan), plan}
      const options = await this.runOptions(output, {...flags, lock: true})
      const apply =
        plan.steps.length > 0
          ? await applyRepair(sealed, {
              ...options,
              onStep: ({id, tag}) => progress.update(`removing ${id} of ${plan.steps.length}: ${tag}`),
            })
          : undefined
      progress.stop()
      const quarantine = apply?.quarantine ?? options.quarantine ?? `oci-layout:${resolve(output)}.quarantine`
      const freed = await this.#free(repository, residue, {graceMs, id: sealed.id, open, quarantine})
      if (apply && apply.failed > 0) this.exitWith(EXIT.partial)
      this.print('', ...appliedLines(apply, freed, {output, store: repository.location}))
      return {applied: true, ...(apply && {apply}), ...(freed && {freed}), ...planned}
    } finally {
      await repository.close()
    }
  }

  async #free(
    repository: Parameters<typeof removeResidue>[0],
    residue: PruneResidue,
    {
      graceMs,
      id,
      open,
      quarantine,
    }: {
      readonly graceMs: number
      readonly id: string
      readonly open: Awaited<ReturnType<Prune['opener']>>
      readonly quarantine: string
    },
  ): Promise<FreedResidue> {
    const {signal} = this
    if (residue.manifests.length === 0)
      return removeResidue(repository, residue, {graceMs, quarantine: undefined, signal})
    const kept = new Quarantine(await open(quarantine, {create: true}), id)
    try {
      return await removeResidue(repository, residue, {graceMs, quarantine: kept, signal})
    } finally {
      await kept.close()
    }
  }
}

function alreadyBegun(plan: string): LockedError {
  return new LockedError(`${plan}: is a plan that was begun: its journal tells what was done, and undoes it`, {
    suggestions: [
      `To go on where it stopped: ${shellCommand('kloset-oci', 'repair', 'apply', plan)}`,
      'For a new plan give another file.',
    ],
  })
}

function isEmpty({plan, residue}: PrunePlan): boolean {
  return plan.steps.length === 0 && residue.manifests.length === 0 && residue.blobs.count === 0
}

function nextCommand(store: string, output: string | undefined): string {
  return shellCommand('kloset-oci', 'prune', store, '-o', output ?? 'prune.json', '--yes')
}

function summaryLines(pruned: PrunePlan): string[] {
  const {plan, residue, size} = pruned
  if (isEmpty(pruned)) return ['nothing to prune']
  const {blobs, manifests} = residue
  return [
    `${plural(plan.steps.length, 'object')} could go, ${humanSize(size)}`,
    ...(manifests.length > 0
      ? [`${plural(manifests.length, 'manifest')} without a tag, of earlier locks and writes`]
      : []),
    ...(blobs.count > 0
      ? [`${plural(blobs.count, 'blob')} that no manifest refers to, ${humanSize(blobs.bytes)}`]
      : []),
  ]
}

function appliedLines(
  apply: ApplyResult | undefined,
  freed: FreedResidue,
  {output, store}: {readonly output: string; readonly store: string},
): string[] {
  const {blobs, bytes, manifests} = freed
  return [
    ...(apply
      ? [
          `${plural(apply.done, 'object')} removed${apply.failed > 0 ? `, ${apply.failed} failed` : ''}; kept in ${apply.quarantine}`,
          `to put them back: ${shellCommand('kloset-oci', 'repair', 'undo', output)}`,
        ]
      : []),
    ...(manifests > 0 ? [`${plural(manifests, 'untagged manifest')} removed`] : []),
    blobs > 0
      ? `${plural(blobs, 'blob')} freed, ${humanSize(bytes)}`
      : isInFolder(store)
        ? 'no space is freed yet: blobs younger than the time of grace stay, and a later prune takes them'
        : "space is freed by the registry's own garbage collection",
  ]
}
