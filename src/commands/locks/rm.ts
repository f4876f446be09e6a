import {Flags} from '@oclif/core'

import {storeArg, StoreCommand} from '../../base-command/store-command.js'
import {textArg} from '../../cli/args.js'
import {paint} from '../../cli/colors.js'
import {describe} from '../../cli/describe.js'
import {plural, shellCommand} from '../../cli/format.js'
import {clockNote, lockCells, type LockJson, lockJson} from '../../cli/locks.js'
import {givenSecret, passphraseFlags} from '../../cli/passphrase.js'
import {EXIT, EXIT_CODES} from '../../exit-codes.js'
import {requireStore} from '../../kloset/create.js'
import {parseMac} from '../../kloset/mac.js'
import {KlosetStore} from '../../kloset/store.js'
import {type LockRemoval, removeLocks} from '../../repair/locks.js'

export interface LocksRmResult {
  /** False for a plan: nothing was removed. */
  readonly applied: boolean
  readonly failed: number
  readonly kept: number
  readonly locks: readonly (LockJson & LockRemoval)[]
  readonly removed: number
  readonly skewMs?: number
  readonly store: string
}

export default class LocksRm extends StoreCommand {
  static override args = {
    store: storeArg,
    mac: textArg({description: 'all 64 hex digits of each lock; every stale one when left out', multiple: true}),
  }

  static override description = describe(
    `Removes locks that have no holder any more. Without --yes it only says what would go. Each lock is looked at again right
before it goes: one that was renewed meanwhile stays. A lock that is gone already is no error. A lock that has a holder,
or may have one because it cannot be read, is refused, or left where no MAC is given.`,
    EXIT.notFound,
    EXIT.partial,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main', description: 'what would go'},
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --yes',
      description: 'remove all stale locks',
    },
  ]

  static override flags = {
    'break-held-locks': Flags.boolean({
      description:
        'also locks that have a holder, or may have one: maintenance can then delete what a running backup needs',
    }),
    ...passphraseFlags,
    yes: Flags.boolean({char: 'y', description: 'remove, instead of saying what would go'}),
  }

  static override summary = 'remove stale locks, planning first'

  async run(): Promise<LocksRmResult> {
    const {args, flags} = await this.parse(LocksRm)
    const named = [args.mac ?? []].flat().map((mac) => parseMac(mac))
    return this.withRepository(args.store, flags, async (repository) => {
      const {signal} = this
      const secret = await givenSecret(new KlosetStore(repository), flags, signal)
      const {'break-held-locks': breakHeld = false, concurrency, yes: apply = false} = flags
      const {locks, reader} = await removeLocks(repository, {
        apply,
        breakHeld,
        concurrency,
        macs: named.length > 0 ? named : undefined,
        secret,
        signal,
      })
      if (locks.length === 0) await requireStore(repository, {signal})
      const result = this.#result(locks, {
        applied: apply,
        isNamed: named.length > 0 || breakHeld,
        store: repository.location,
      })
      for (const lock of locks) this.print(lineOf(lock))
      this.print(...summaryLines(result))
      const goes = locks.some(({action}) => action === 'planned')
      if (goes) {
        const words = ['locks', 'rm', args.store, ...named, '--yes', ...(breakHeld ? ['--break-held-locks'] : [])]
        this.print('', `next: ${shellCommand('kloset-oci', ...words)}`)
      }

      const skew = clockNote(reader.clocks)
      if (skew) this.note(skew)
      const {skewMs} = reader.clocks
      return {...result, ...(skewMs !== undefined && {skewMs})}
    })
  }

  #result(
    locks: readonly LockRemoval[],
    {applied, isNamed, store}: {readonly applied: boolean; readonly isNamed: boolean; readonly store: string},
  ): LocksRmResult {
    const count = (action: LockRemoval['action']) => locks.filter((lock) => lock.action === action).length
    const [failed, kept, removed] = [count('failed'), count('kept'), count('removed')]
    if (failed > 0) this.exitWith(removed > 0 ? EXIT.partial : exitCodeOf(locks))
    // Asked for by name, and renewed under our hands.
    else if (applied && isNamed && kept > 0) this.exitWith(EXIT.partial)
    return {applied, failed, kept, locks: locks.map((lock) => ({...lock, ...lockJson(lock)})), removed, store}
  }
}

function exitCodeOf(locks: readonly LockRemoval[]): number {
  const code = locks.find(({failure}) => failure)?.failure?.code
  return code === undefined || code === 'UNEXPECTED' ? EXIT.unexpected : EXIT_CODES[code]
}

const WORDS: Readonly<Record<LockRemoval['action'], string>> = {
  failed: paint.red('failed '),
  gone: paint.dim('gone   '),
  kept: paint.yellow('kept   '),
  planned: 'would go',
  removed: paint.green('removed'),
}

function lineOf(lock: LockRemoval): string {
  const [state, mode, host, age] = lockCells(lock)
  const what = lock.action === 'gone' ? 'it is not there any more' : `${state} ${mode}, ${host}: ${age}`
  const why = lock.failure?.message ?? lock.reason
  return `${WORDS[lock.action]}  ${lock.tag}  ${what}${why === undefined ? '' : `; ${why}`}`
}

function summaryLines({applied, failed, kept, locks, removed}: LocksRmResult): string[] {
  if (locks.length === 0) return ['no locks']
  const would = locks.filter(({action}) => action === 'planned').length
  const done = applied ? `${plural(removed, 'lock')} removed` : `${plural(would, 'lock')} would go; nothing was removed`
  return ['', [done, ...(kept > 0 ? [`${kept} kept`] : []), ...(failed > 0 ? [`${failed} failed`] : [])].join(', ')]
}
