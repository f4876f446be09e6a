import {Flags} from '@oclif/core'
import {access} from 'node:fs/promises'

import {
  absoluteLocation,
  lostIn,
  lostText,
  planLines,
  RepairCommand,
  unlocker,
} from '../../base-command/repair-command.js'
import {storeArg} from '../../base-command/store-command.js'
import {AtomicFile} from '../../cli/atomic-file.js'
import {describe} from '../../cli/describe.js'
import {humanCount, humanSize, plural, shellCommand} from '../../cli/format.js'
import {passphraseFlags} from '../../cli/passphrase.js'
import {AlreadyExistsError} from '../../errors.js'
import {EXIT} from '../../exit-codes.js'
import {
  encodePlan,
  idOf,
  journalPathOf,
  openSource,
  type PlanProgress,
  planRepair,
  type RepairPlan,
} from '../../repair/index.js'

export interface RepairPlanResult {
  readonly id: string
  readonly output: string
  readonly plan: RepairPlan
}

export default class Plan extends RepairCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Looks at a store and writes down what would bring it back, step by step, the least destructive first: why, what is read,
what is written, what is kept aside, and what the risk is. Copies are looked for in the store itself and in every --from,
in their order, and each is read and checked before it is promised. Nothing is changed; \`repair apply\` does what the plan
says. The status is 65 when something stays lost whatever is done.`,
    EXIT.alreadyExists,
    EXIT.damage,
    EXIT.notFound,
  )

  static override examples = [
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --from oci://mirror.example/backups/main -o plan.json',
      description: 'with a mirror',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci-layout:./store.oci --from fs:///mnt/plakar --from ./rescued -o plan.json',
      description: "with plakar's own copy on a disk, and a folder of rescued files",
    },
  ]

  static override flags = {
    from: Flags.string({
      default: [],
      description: 'where copies are looked for: oci://…, oci-layout:PATH, fs://PATH of plakar, or a folder',
      helpValue: 'SOURCE',
      multiple: true,
    }),
    output: Flags.string({
      char: 'o',
      description: 'file that the plan is written to',
      helpValue: 'PLAN',
      required: true,
    }),
    quick: Flags.boolean({description: 'look at presence and sizes only: damage inside objects is not seen'}),
    ...passphraseFlags,
  }

  static override summary = 'say what would repair a store, and change nothing'

  async run(): Promise<RepairPlanResult> {
    const {args, flags} = await this.parse(Plan)
    await refuseCarriedOut(flags.output)
    const open = await this.opener(flags)
    const progress = await this.startProgress(flags)
    const closing: {close(): Promise<void>}[] = []
    const file = await AtomicFile.create(flags.output)
    try {
      const repository = await open(absoluteLocation(args.store), {readOnly: true})
      closing.push(repository)
      const sources = []
      for (const from of flags.from) {
        const source = await openSource(from, async (location) => open(absoluteLocation(location), {readOnly: true}))
        sources.push(source)
        closing.push(source)
      }

      const plan = await planRepair(repository, {
        concurrency: flags.concurrency,
        deep: !flags.quick,
        onProgress: (state) => progress.update(progressText(state)),
        signal: this.signal,
        sources,
        unlock: unlocker(flags, this.signal),
      })
      progress.stop()
      await file.write(encodePlan(plan))
      await file.commit()
      if (plan.unfixable.length > 0) this.exitWith(EXIT.damage)
      else if (!plan.complete) this.exitWith(EXIT.unavailable)
      this.print(...planLines(plan), ...summaryOf(plan, flags))
      return {id: idOf(plan), output: flags.output, plan}
    } catch (error) {
      await file.discard()
      throw error
    } finally {
      for (const one of closing.toReversed()) await one.close()
    }
  }
}

/** @throws AlreadyExistsError when the plan that is there is needed to undo what it has done */
async function refuseCarriedOut(output: string): Promise<void> {
  const journal = journalPathOf(output)
  const isThere = await access(journal).then(
    () => true,
    () => false,
  )
  if (!isThere) return
  throw new AlreadyExistsError(`${output}: the plan there was carried out, in part at least`, {
    facts: {journal},
    suggestions: ['Take another name: `repair undo` needs the plan and its journal as they are.'],
  })
}

function progressText({check, objects, phase, snapshots = 0}: PlanProgress): string {
  if (phase === 'snapshots') return `going through snapshots: ${humanCount(snapshots)}`

  if (phase === 'check' && check) {
    const read = check.bytes > 0 ? `, ${humanSize(check.bytes)} read` : ''
    return `looking at the store: ${humanCount(check.done)}${read}`
  }

  return `looking for copies: ${plural(objects, 'object')}`
}

function summaryOf(
  plan: RepairPlan,
  {from, output}: {readonly from: readonly string[]; readonly output: string},
): string[] {
  const {partial, steps, unfixable} = plan
  const part = partial ? ' in what could be looked at' : ''
  if (steps.length === 0 && unfixable.length === 0) return [`nothing to repair${part} (${output})`]

  const isLost = lostIn(plan).length > 0
  const summary = `${plural(steps.length, 'step')}${part}${isLost ? `, ${lostText(plan)}` : ''}`
  const apply = `read ${output}, then ${shellCommand('kloset-oci', 'repair', 'apply', output)}`
  const next = `${summary}: ${steps.length > 0 ? apply : 'there is nothing to apply'}`
  if (!isLost) return [next]
  const named = from.length > 0 ? 'no place that was named has it' : 'no other place was named'
  return [
    `before anything is given up: ${named}. Plan again with every copy there may be (--from, more than once): a mirror, plakar's fs:// store, its cache, loose files.`,
    next,
  ]
}
