import {storeArg, StoreCommand} from '../../base-command/store-command.js'
import {type LockLook, LockReader} from '../../checker/index.js'
import {textArg} from '../../cli/args.js'
import {describe} from '../../cli/describe.js'
import {clockNote, lockCells, type LockJson, lockJson} from '../../cli/locks.js'
import {givenSecret, passphraseFlags} from '../../cli/passphrase.js'
import {NotFoundError} from '../../errors.js'
import {EXIT} from '../../exit-codes.js'
import {requireStore} from '../../kloset/create.js'
import {KlosetStore} from '../../kloset/store.js'
import {explainLock, type LockAdvice} from '../../repair/lock-advice.js'
import {lookAtLocks} from '../../repair/locks.js'

export interface LocksExplainResult {
  readonly locks: readonly (LockAdvice & LockJson)[]
  readonly skewMs?: number
  readonly store: string
}

/** A store has a lock for each backup that runs: more than this at once are residue, and `locks ls` lists them. */
const MAX_EXPLAINED = 1000

export default class LocksExplain extends StoreCommand {
  static override args = {
    store: storeArg,
    mac: textArg({description: 'of the lock, or the beginning of it; all of them when it is left out'}),
  }

  static override description = describe(
    `Says of each lock in words what it blocks (backups, maintenance), why, and what to do about it.`,
    EXIT.notFound,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main',
      description: 'why maintenance does not run',
    },
  ]

  static override flags = {...passphraseFlags}

  static override summary = 'say what locks block, why, and what to do'

  async run(): Promise<LocksExplainResult> {
    const {args, flags} = await this.parse(LocksExplain)
    return this.withRepository(args.store, flags, async (repository) => {
      const {signal} = this
      const store = new KlosetStore(repository)
      const secret = await givenSecret(store, flags, signal)
      const reader = await LockReader.open(repository, {secret, signal})
      const looks: LockLook[] = []
      if (args.mac === undefined) {
        for await (const look of lookAtLocks(repository, reader, {concurrency: flags.concurrency, signal})) {
          looks.push(look)
          if (looks.length >= MAX_EXPLAINED) break
        }
      } else {
        const mac = await store.resolveMac('lock', args.mac, {signal})
        const look = await reader.look(mac, {signal})
        if (!look) throw new NotFoundError(`${repository.location}: no lock ${mac}: it was released`, {facts: {mac}})
        looks.push(look)
      }

      if (looks.length === 0) await requireStore(repository, {signal})
      const {clocks} = reader
      const locks = looks.map((look) => ({...lockJson(look), ...explainLock(look, clocks)}))
      for (const [index, lock] of locks.entries()) {
        const [state, mode, host, age] = lockCells(lock)
        this.print(
          ...(index > 0 ? [''] : []),
          `${lock.tag}`,
          `  ${state} ${mode}, ${host}: ${age}`,
          `  blocks backups: ${yesNo(lock, 'backups')}, maintenance: ${yesNo(lock, 'maintenance')}`,
          ...lock.words.map((words) => `  ${words}`),
          ...lock.nextSteps.map((step) => `  next: ${step}`),
        )
      }

      if (locks.length === 0) this.print('no locks: backups and maintenance can run')
      const skew = clockNote(clocks)
      if (skew) this.note(skew)
      const {skewMs} = clocks
      return {locks, ...(skewMs !== undefined && {skewMs}), store: repository.location}
    })
  }
}

function yesNo({blocks, state}: LockAdvice & LockJson, what: 'backups' | 'maintenance'): string {
  if (blocks[what]) return state === 'unknown' ? 'it may' : 'yes'
  return 'no'
}
