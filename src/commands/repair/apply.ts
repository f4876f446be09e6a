import {lostIn, lostText, planArg, planLines, RepairCommand, runFlags} from '../../base-command/repair-command.js'
import {confirmed} from '../../cli/confirm.js'
import {describe} from '../../cli/describe.js'
import {plural, shellCommand} from '../../cli/format.js'
import {EXIT} from '../../exit-codes.js'
import {applyRepair, type ApplyResult, readPlan} from '../../repair/index.js'

export interface RepairApplyResult extends ApplyResult {
  readonly plan: string
  readonly store: string
  /** Objects that the plan could not bring back. */
  readonly unfixable: number
}

export default class Apply extends RepairCommand {
  static override args = {plan: planArg}

  static override description = describe(
    `Does what a plan says, step by step. Before a step changes anything, what it replaces is copied to the quarantine, from
where \`repair undo\` puts it back. The store is locked meanwhile, in plakar's own format. A plan is refused when the store
has changed since it was made. Broken off, whenever: run it again, and it goes on where it stopped.`,
    EXIT.partial,
    EXIT.notFound,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> plan.json', description: 'show the plan, ask, and do it'},
    {command: '<%= config.bin %> <%= command.id %> plan.json --yes --lock-wait 600', description: 'from a script'},
  ]

  static override flags = runFlags

  static override summary = 'carry a repair plan out'

  async run(): Promise<RepairApplyResult> {
    const {args, flags} = await this.parse(Apply)
    const sealed = await readPlan(args.plan)
    const {plan} = sealed
    const isEmpty = plan.steps.length === 0
    if (!flags.yes) {
      this.print(...planLines(plan))
      if (!isEmpty) await confirmed(`carry out ${plural(plan.steps.length, 'step')} on ${plan.store}`, this.signal)
    }

    const options = await this.runOptions(args.plan, flags)
    const progress = await this.startProgress(flags)
    const result = await applyRepair(sealed, {
      ...options,
      onStep: ({action, id, tag}) => progress.update(`step ${id} of ${plan.steps.length}: ${action.kind} ${tag}`),
    })
    progress.stop()
    for (const {error, id, kind, status, tag} of result.steps) {
      this.print(`${id}. ${kind} ${tag}: ${status === 'before' ? 'done before' : status}`)
      if (error) this.print(`   ${error.message}`, ...error.suggestions.map((text) => `   next: ${text}`))
    }

    if (result.failed > 0) this.exitWith(EXIT.partial)
    this.print(
      isEmpty
        ? 'nothing to carry out: the plan has no steps'
        : `${plural(result.done, 'step')} done, ${result.failed} failed; what was replaced is in ${result.quarantine}`,
      ...(lostIn(plan).length > 0 ? [`${lostText(plan)}, as the plan says`] : []),
      ...(isEmpty || result.failed > 0
        ? []
        : [`next: ${shellCommand('kloset-oci', 'verify', plan.store, '--tier', 'data')}`]),
    )
    return {...result, plan: sealed.id, store: plan.store, unfixable: plan.unfixable.length}
  }
}
