import {Flags} from '@oclif/core'
import {resolve} from 'node:path'

import type {Secret} from '../kloset/codec/secret.js'
import type {Configuration} from '../kloset/configuration.js'
import type {RepositoryOptions} from '../registry/open.js'
import type {RepairPlan, RunOptions} from '../repair/index.js'

import {textArg} from '../cli/args.js'
import {paint} from '../cli/colors.js'
import {connectionOptions} from '../cli/connection.js'
import {plural} from '../cli/format.js'
import {givenPassphrase, type PassphraseFlags, passphraseFlags} from '../cli/passphrase.js'
import {unlock} from '../kloset/codec/kdf.js'
import {meaningOf} from '../kloset/resource.js'
import {formatLocation, parseLocation} from '../registry/reference.js'
import {StoreCommand, type StoreFlags} from './store-command.js'

export const planArg = textArg({description: 'file that `repair plan` wrote', name: 'PLAN', required: true})

/** Flags of the commands that work a plan off. */
export const runFlags = {
  lock: Flags.boolean({
    allowNo: true,
    default: true,
    description: 'lock the store, so that plakar and other repairs keep away; without it that is for you to see to',
  }),
  'lock-wait': Flags.integer({
    default: 0,
    description: 'wait so long for others to let the store go',
    helpValue: 'SECONDS',
    min: 0,
  }),
  quarantine: Flags.string({
    description: 'repository or layout for what is replaced (default: a layout beside the plan)',
    helpValue: 'STORE',
  }),
  yes: Flags.boolean({char: 'y', description: 'do not ask'}),
  ...passphraseFlags,
}

export interface RunFlags extends PassphraseFlags {
  readonly lock: boolean
  readonly 'lock-wait': number
  readonly quarantine?: string | undefined
}

/** The location as it holds from every folder. */
export function absoluteLocation(text: string): string {
  const location = parseLocation(text)
  return location.kind === 'layout' ? formatLocation({...location, path: resolve(location.path)}) : text
}

/** Gives the secret of a store once its configuration is known; the passphrase is asked for once. */
export function unlocker(flags: PassphraseFlags, signal: AbortSignal) {
  let passphrase: Promise<string | undefined> | undefined
  const secrets = new Map<string, Promise<Secret>>()
  return async ({encryption}: Configuration): Promise<Secret | undefined> => {
    passphrase ??= givenPassphrase(flags, signal)
    const given = await passphrase
    if (given === undefined || !encryption) return undefined
    const key = JSON.stringify(encryption)
    const secret = secrets.get(key) ?? unlock(encryption, given)
    secrets.set(key, secret)
    return secret
  }
}

/** A command that opens several stores with the same flags. */
export abstract class RepairCommand extends StoreCommand {
  /** How a store is opened, whichever of them. */
  protected async opener(flags: StoreFlags): Promise<RunOptions['openRepository']> {
    const {openRepository} = await import('../registry/open.js')
    const options = await connectionOptions(flags, {signal: this.signal, userAgent: this.config.userAgent})
    return async (location, extra: Pick<RepositoryOptions, 'create' | 'readOnly'>) =>
      openRepository(location, {...options, ...extra, signal: this.signal})
  }

  /** What the core asks of the one who runs a plan. */
  protected async runOptions(planPath: string, flags: RunFlags & StoreFlags): Promise<RunOptions> {
    return {
      lock: flags.lock,
      lockWaitMs: flags['lock-wait'] * 1000,
      openRepository: await this.opener(flags),
      planPath: resolve(planPath),
      quarantine: flags.quarantine === undefined ? undefined : absoluteLocation(flags.quarantine),
      signal: this.signal,
      unlock: unlocker(flags, this.signal),
    }
  }
}

const MAX_SHOWN = 50

/** What of a plan nothing can bring back; a lock that may be held is none of that. */
export function lostIn({unfixable}: RepairPlan): RepairPlan['unfixable'] {
  return unfixable.filter(({tag}) => !isLock(tag))
}

export function lostText(plan: RepairPlan): string {
  const {length} = lostIn(plan)
  return `${plural(length, 'object')} ${length === 1 ? 'stays' : 'stay'} lost`
}

function isLock(tag: string): boolean {
  const meaning = meaningOf(tag)
  return meaning.kind === 'object' && meaning.resource === 'lock'
}

/** A plan as a person reads it. */
export function planLines(plan: RepairPlan): string[] {
  const lines: string[] = []
  for (const {action, id, reads, replaces, risk, tag, why, writes} of plan.steps.slice(0, MAX_SHOWN)) {
    lines.push(
      `${paint.bold(`${id}. ${action.kind}`)} ${tag}`,
      ...why.slice(0, 3).map((text) => `   why       ${text}`),
      ...reads.slice(0, 3).map((text) => `   reads     ${text}`),
      ...replaces.map((text) => `   keeps     ${text}`),
      ...writes.map((text) => `   writes    ${text}`),
      `   risk      ${risk}`,
    )
  }

  if (plan.steps.length > MAX_SHOWN)
    lines.push(`… and ${plural(plan.steps.length - MAX_SHOWN, 'more step')}: see the file`)
  for (const {paths, reason, snapshots, tag} of plan.unfixable.slice(0, MAX_SHOWN)) {
    if (isLock(tag)) {
      lines.push(`${paint.yellow('left alone')} ${tag}`, `   why       ${reason}`)
      continue
    }

    const cost =
      snapshots === 'unknown'
        ? 'which snapshots it costs is not known'
        : `${plural(snapshots.length, 'snapshot')}, ${plural(paths.length, 'path')}`
    lines.push(`${paint.red('stays lost')} ${tag} (${cost})`, `   why       ${reason}`)
    for (const {path, snapshot} of paths.slice(0, MAX_SHOWN)) lines.push(`   path      ${snapshot.slice(0, 8)} ${path}`)
  }

  for (const note of plan.notes) lines.push(`note: ${note}`)
  return lines
}
