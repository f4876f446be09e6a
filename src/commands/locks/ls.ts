import {storeArg, StoreCommand} from '../../base-command/store-command.js'
import {LockReader} from '../../checker/index.js'
import {describe} from '../../cli/describe.js'
import {plural, shellCommand} from '../../cli/format.js'
import {clockNote, lockCells, lockJson} from '../../cli/locks.js'
import {LineWriter} from '../../cli/output.js'
import {givenSecret, passphraseFlags} from '../../cli/passphrase.js'
import {EXIT} from '../../exit-codes.js'
import {requireStore} from '../../kloset/create.js'
import {KlosetStore} from '../../kloset/store.js'
import {lookAtLocks} from '../../repair/locks.js'

export interface LocksLsResult {
  /** By state. */
  readonly counts: Readonly<Record<'fresh' | 'stale' | 'unknown', number>>
  /** How far the registry's clock is ahead of this machine's, when they disagree. */
  readonly skewMs?: number
}

export default class LocksLs extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Lists the locks of a store: who holds each, whether alone (maintenance) or beside others (backups), and when it was last
renewed. A holder renews its lock every five minutes; after ten without that it is stale. Of an encrypted store that is
unknown without the passphrase. No locks is a result, and no error.`,
    EXIT.notFound,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main',
      description: 'who works on it',
    },
    {
      command: `<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --json | jq '.counts.stale'`,
      description: 'for a script',
    },
  ]

  static override flags = {...passphraseFlags}

  static override summary = 'list who holds a store, and who only left a lock'

  async run(): Promise<LocksLsResult> {
    const {args, flags} = await this.parse(LocksLs)
    return this.withRepository(args.store, flags, async (repository) => {
      const {signal} = this
      const secret = await givenSecret(new KlosetStore(repository), flags, signal)
      const reader = await LockReader.open(repository, {secret, signal})
      const json = this.jsonEnabled() ? this.streamJson({store: repository.location}, 'locks') : undefined
      const writer = new LineWriter()
      const counts = {fresh: 0, stale: 0, unknown: 0}
      for await (const look of lookAtLocks(repository, reader, {concurrency: flags.concurrency, signal})) {
        counts[look.state]++
        await (json ? json.item(lockJson(look)) : writer.line(line(lockCells(look), look.mac)))
      }

      await writer.end()
      if (counts.fresh + counts.stale + counts.unknown === 0) await requireStore(repository, {signal})
      const {skewMs} = reader.clocks
      const result = {counts, ...(skewMs !== undefined && {skewMs})}
      if (json) await this.endJson(result)
      this.#remarks(counts, args.store)
      const skew = clockNote(reader.clocks)
      if (skew) this.note(skew)
      return result
    })
  }

  #remarks({fresh, stale, unknown}: LocksLsResult['counts'], store: string): void {
    const total = fresh + stale + unknown
    this.note(total === 0 ? 'no locks' : `${plural(total, 'lock')}: ${fresh} fresh, ${stale} stale, ${unknown} unknown`)
    if (stale > 0) this.note(`next: ${shellCommand('kloset-oci', 'locks', 'rm', store)}`)
    else if (total > 0) this.note(`next: ${shellCommand('kloset-oci', 'locks', 'explain', store)}`)
  }
}

/** Fixed columns: lines are printed as they come. */
function line([state, mode, host, age]: readonly string[], mac: string): string {
  return `${state}  ${mode!.padEnd(9)}  ${mac}  ${host}: ${age}`
}
