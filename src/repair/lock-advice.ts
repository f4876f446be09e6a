import type {Clocks, LockLook} from '../checker/lock-look.js'

import {staleAt} from '../checker/lock-look.js'

/** What a lock does to others, and what to do about it. */
export interface LockAdvice {
  readonly blocks: {readonly backups: boolean; readonly maintenance: boolean}
  readonly nextSteps: readonly string[]
  /** Sentences: who holds it, what it stops, why. */
  readonly words: readonly string[]
}

const WAIT = 'Wait for its holder to finish; look again with `locks ls`.'

/**
 * Explains a lock by what plakar does with one.
 * @see kloset snapshot/builder.go `Lock`, plakar subcommands/maintenance `Lock`
 */
export function explainLock(look: LockLook, clocks: Clocks): LockAdvice {
  switch (look.state) {
    case 'fresh': {
      return explainFresh(look, clocks)
    }

    case 'stale': {
      // Nothing is left of it but its tag.
      if (look.problem !== undefined) return explainEmptied(look.problem)
      return {
        blocks: {backups: false, maintenance: false},
        nextSteps: [
          'Nothing needs to be done where plakar may delete: its next backup or maintenance removes the lock.',
          'Otherwise, or to be rid of it now: `locks rm` with --yes.',
        ],
        words: [
          `${holder(look)} has not renewed it for more than ten minutes, so it has no holder any more: the process was killed, or lost the registry.`,
          'plakar passes over it and deletes it first. With a login that may not delete, that deletion fails, and with it every backup and maintenance.',
        ],
      }
    }

    case 'unknown': {
      return explainUnknown(look)
    }

    default: {
      throw new TypeError(`unknown state ${String(look.state satisfies never)}`)
    }
  }
}

function explainFresh(look: LockLook, clocks: Clocks): LockAdvice {
  const {ageMs = 0, mode} = look
  const exclusive = mode === 'exclusive'
  const until = staleAt(look, clocks)
  const dead = until === undefined ? '' : ` If it is never renewed, it is dead at ${new Date(until).toISOString()}.`
  const skew =
    ageMs < -AHEAD_MS
      ? [
          `Its holder's clock is ${Math.round(-ageMs / 60_000)} minutes ahead of this one: the lock looks younger than it is, and outlives its holder by as much.`,
        ]
      : []
  return {
    blocks: {backups: exclusive, maintenance: true},
    nextSteps: [
      WAIT,
      ...(skew.length > 0 ? ['Synchronise the clocks: whoever holds and whoever judges locks must agree.'] : []),
      `When ${holder(look)} is certainly gone (its process ended, the machine off), wait until the lock is stale rather than break it.`,
    ],
    words: [
      exclusive
        ? `${holder(look)} works alone on the store: maintenance or repair. It stops every backup ("already locked by maintenance") and every other maintenance.`
        : `${holder(look)} writes to the store, a backup as a rule. Other backups run beside it; maintenance is refused ("repository is already locked"), and no space is freed.`,
      `Its holder renews it every five minutes.${dead}`,
      ...skew,
    ],
  }
}

function explainEmptied(problem: string): LockAdvice {
  return {
    blocks: {backups: true, maintenance: true},
    nextSteps: ['Finish it: `locks rm` with --yes.'],
    words: [
      `${problem}. Nobody holds it.`,
      'plakar reads every lock before it works and stops at one that it cannot read: all backups and all maintenance fail until it has gone.',
    ],
  }
}

/** A clock this far ahead is worth a word. */
const AHEAD_MS = 2 * 60_000

function explainUnknown({problem, riddle, written}: LockLook): LockAdvice {
  const hint =
    written === undefined
      ? 'Its manifest does not say when it was written.'
      : `Its manifest says that it was written ${written}: a hint, no proof.`
  if (riddle === 'no-passphrase') {
    return {
      blocks: {backups: false, maintenance: true},
      nextSteps: ['Give the passphrase (--passphrase-file) to read it.', WAIT],
      words: [
        'Who holds it, how, and since when is unknown without the passphrase: the store is encrypted, its locks too.',
        'If it is fresh it stops maintenance, and backups too if it is exclusive; if it is stale it stops neither.',
        hint,
      ],
    }
  }

  if (riddle === 'damaged') {
    return {
      blocks: {backups: true, maintenance: true},
      nextSteps: [
        'Wait ten minutes: a living holder writes it anew within five, and heals it.',
        'If it stays as it is, nobody holds it: `locks rm MAC --break-held-locks --yes`.',
      ],
      words: [
        `It cannot be read: ${problem ?? 'it is damaged'}.`,
        'plakar reads every lock before it works and stops at one that it cannot read: all backups and all maintenance fail until it has gone.',
        hint,
      ],
    }
  }

  return {
    blocks: {backups: false, maintenance: true},
    nextSteps: [
      riddle === 'unknown-version'
        ? 'Update kloset-oci: a newer plakar wrote it, perhaps.'
        : 'Mend CONFIG first: see `gc-check`. No backup and no maintenance works without it.',
    ],
    words: [`Who holds it and since when cannot be told: ${problem ?? 'it cannot be read'}.`, hint],
  }
}

function holder({hostname}: LockLook): string {
  return hostname === undefined || hostname === '' ? 'an unnamed host' : hostname
}
