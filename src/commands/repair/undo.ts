import {planArg, RepairCommand, runFlags} from '../../base-command/repair-command.js'
import {confirmed} from '../../cli/confirm.js'
import {describe} from '../../cli/describe.js'
import {plural} from '../../cli/format.js'
import {EXIT} from '../../exit-codes.js'
import {readPlan, undoRepair, type UndoResult} from '../../repair/index.js'

export interface RepairUndoResult extends UndoResult {
  readonly plan: string
  readonly store: string
}

export default class Undo extends RepairCommand {
  static override args = {plan: planArg}

  static override description = describe(
    `Puts back what the steps of a plan have replaced or removed, the last step first. What the repair has written goes to the
quarantine before. Blobs that were added stay, since they are what their digest says. A tag that somebody else has changed
since is left alone, and said.`,
    EXIT.partial,
    EXIT.notFound,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> plan.json', description: 'ask, then take the repair back'},
  ]

  static override flags = runFlags

  static override summary = 'put back what a repair has replaced'

  async run(): Promise<RepairUndoResult> {
    const {args, flags} = await this.parse(Undo)
    const sealed = await readPlan(args.plan)
    const {plan} = sealed
    if (!flags.yes) await confirmed(`undo the repair of ${plan.store}`, this.signal)
    const options = await this.runOptions(args.plan, flags)
    const progress = await this.startProgress(flags)
    const result = await undoRepair(sealed, {
      ...options,
      onStep: ({action, id, tag}) => progress.update(`undoing step ${id}: ${action.kind} ${tag}`),
    })
    progress.stop()
    for (const {error, id, kind, reason, status, tag} of result.steps) {
      this.print(`${id}. ${kind} ${tag}: ${status}${reason === undefined ? '' : ` (${reason})`}`)
      if (error) this.print(`   ${error.message}`, ...error.suggestions.map((text) => `   next: ${text}`))
    }

    if (result.failed > 0) this.exitWith(EXIT.partial)
    this.print(
      `${plural(result.undone, 'step')} undone, ${result.failed} failed; the quarantine is ${result.quarantine}`,
    )
    return {...result, plan: sealed.id, store: plan.store}
  }
}
