import {Flags} from '@oclif/core'

import {storeArg, StoreCommand} from '../base-command/store-command.js'
import {textArg} from '../cli/args.js'
import {paint} from '../cli/colors.js'
import {describe} from '../cli/describe.js'
import {humanDuration, humanSize, plural, shellCommand, table} from '../cli/format.js'
import {applyRemoval, type PlannedRemoval, planRemoval, type Removed} from '../cli/removal.js'
import {LockedError} from '../errors.js'
import {EXIT, EXIT_CODES} from '../exit-codes.js'
import {type Mac, parseMac} from '../kloset/mac.js'
import {parseResource, type Resource, RESOURCES} from '../kloset/resource.js'

export interface RmResult {
  /** False for a plan: nothing was removed. */
  readonly applied: boolean
  readonly failed: number
  readonly objects: readonly Removed[]
  readonly removed: number
  readonly store: string
}

export default class Rm extends StoreCommand {
  static override args = {
    store: storeArg,
    resource: textArg({description: `one of ${RESOURCES.join(', ')}`, options: [...RESOURCES], required: true}),
    mac: textArg({description: 'all 64 hex digits of each object', multiple: true, required: true}),
  }

  static override description = describe(
    `Removes objects by their tags. Without --yes it only says what would go. A manifest that another tag leads to stays for
that tag. Locks that still have a holder, or whose age cannot be read, are kept unless --force.`,
    EXIT.notFound,
    EXIT.partial,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main lock MAC',
      description: 'what would go',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main lock MAC --yes',
      description: 'remove a stale lock',
    },
  ]

  static override flags = {
    force: Flags.boolean({description: 'remove locks that are held or cannot be read, too'}),
    yes: Flags.boolean({char: 'y', description: 'remove, instead of saying what would go'}),
  }

  static override summary = 'remove objects, planning first'

  async run(): Promise<RmResult> {
    const {args, flags} = await this.parse(Rm)
    const resource = parseResource(args.resource)
    const macs = [...new Set([args.mac].flat().map((mac) => parseMac(mac)))]
    return this.withStore(args.store, flags, async (store) => {
      const {concurrency, force, yes = false} = flags
      const {signal} = this
      const progress = await this.startProgress(flags)
      const looked = (done: number) => progress.update(`asking which tags share a manifest: ${plural(done, 'tag')}`)
      const options = {concurrency, lookForShared: !yes, onProgress: looked, signal}
      const planned = await planRemoval(store, resource, macs, options)
      const held = planned.filter(({lock}) => lock && lock.state !== 'stale')
      if (yes && held.length > 0 && !force) throw stillHeld(held, args.store)
      const removing = (done: number) => progress.update(`removed ${done} of ${plural(planned.length, 'object')}`)
      const objects: Removed[] = yes ? await applyRemoval(store, planned, {onProgress: removing, signal}) : planned
      const failed = objects.filter(({failure}) => failure).length
      const result = {applied: yes, failed, objects, removed: yes ? objects.length - failed : 0, store: store.location}
      if (failed > 0) this.exitWith(failed < objects.length ? EXIT.partial : exitCodeOf(objects))
      this.print(
        ...lines(result),
        ...(yes || resource === 'lock' ? [] : [UNASKED]),
        ...(yes ? [] : ['', `next: ${nextCommand(args.store, resource, macs, held.length > 0)}`]),
      )
      return result
    })
  }
}

/** It would take reading every state and, for states, every snapshot. */
const UNASKED =
  'whether snapshots need them was not looked at: `prune` removes what nothing needs, and keeps what it removes'

function nextCommand(store: string, resource: Resource, macs: readonly Mac[], force: boolean): string {
  return shellCommand('kloset-oci', 'rm', store, resource, ...macs, '--yes', ...(force ? ['--force'] : []))
}

function exitCodeOf(objects: readonly Removed[]): number {
  const code = objects[0]?.failure?.code
  return code === undefined || code === 'UNEXPECTED' ? EXIT.unexpected : EXIT_CODES[code]
}

function stillHeld(held: readonly PlannedRemoval[], store: string): LockedError {
  return new LockedError(`${plural(held.length, 'lock')} may still have a holder: nothing was removed`, {
    facts: {held: held.length},
    suggestions: [
      ...held.slice(0, 5).map((removal) => `${removal.tag}: ${lockText(removal)}`),
      `A lock is renewed every 5 minutes and dead after 10: wait, then see ${shellCommand('kloset-oci', 'gc-check', store)}`,
      'When its holder is certainly gone, add --force.',
    ],
  })
}

function lines({applied, failed, objects, removed}: RmResult): string[] {
  const rows = objects.map((object) => [
    outcome(object, applied),
    object.tag,
    object.size === undefined ? '?' : humanSize(object.size),
    remark(object, applied),
  ])
  const summary = applied
    ? `${plural(removed, 'object')} removed${failed > 0 ? `, ${failed} not` : ''}`
    : `${plural(objects.length, 'object')} would go; nothing was removed`
  return [...table(rows, [{}, {}, {align: 'right'}]), '', summary]
}

function outcome({failure}: Removed, applied: boolean): string {
  if (!applied) return 'would go'
  return failure ? paint.red('failed') : paint.green('removed')
}

function remark(object: Removed, applied: boolean): string {
  const {error, failure, lock, result, sharedWith} = object
  if (failure) return failure.message
  const remarks = [
    ...(lock ? [lockText(object)] : []),
    ...(error ? [error.message] : []),
    ...(sharedWith?.length ? [`manifest stays for ${sharedWith.join(', ')}`] : []),
    ...(applied && result && !result.manifestDeleted ? ["manifest left: shared, or the registry's to collect"] : []),
  ]
  return remarks.join('; ')
}

function lockText({lock}: PlannedRemoval): string {
  if (!lock || lock.state === 'unknown') return 'its age cannot be read'
  const age = humanDuration(lock.ageMs ?? 0)
  return `${lock.state}: ${lock.hostname ?? 'unknown host'}, renewed ${age} ago`
}
