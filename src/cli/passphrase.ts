import {Flags} from '@oclif/core'
import {open} from 'node:fs/promises'

import {InvalidArgumentError} from '../errors.js'
import {unlock} from '../kloset/codec/kdf.js'
import {type Secret} from '../kloset/codec/secret.js'
import {type KlosetStore} from '../kloset/store.js'
import {fileOperation} from '../util/fs-error.js'
import {ask, secretFromStdin} from './password.js'

/** How an encrypted store is opened. */
export const passphraseFlags = {
  'passphrase-file': Flags.string({
    description: 'file with the passphrase of an encrypted store, - for standard input (or set PLAKAR_PASSPHRASE)',
    helpValue: 'FILE',
  }),
}

export interface PassphraseFlags {
  readonly 'passphrase-file'?: string | undefined
}

/** Looked at in this order; the second is plakar's own. */
const VARIABLES = ['KLOSET_OCI_PASSPHRASE', 'PLAKAR_PASSPHRASE'] as const

const MAX_FILE_BYTES = 64 * 1024

/**
 * The passphrase that was given by a file or the environment; undefined when none was.
 * @throws InvalidArgumentError when it is empty, LocalIoError when the file cannot be read
 */
export async function givenPassphrase(flags: PassphraseFlags, signal: AbortSignal): Promise<string | undefined> {
  const path = flags['passphrase-file']
  if (path === '-') return secretFromStdin(signal)
  if (path !== undefined) {
    const text = await readPassphrase(path)
    if (text === '') throw new InvalidArgumentError(`${path}: no passphrase in it`)
    return text
  }

  const name = VARIABLES.find((variable) => process.env[variable])
  return name === undefined ? undefined : process.env[name]
}

/** The same, or what the person at the terminal says twice. */
export async function newPassphrase(flags: PassphraseFlags, signal: AbortSignal): Promise<string> {
  const given = await givenPassphrase(flags, signal)
  if (given !== undefined) return given
  if (!process.stdin.isTTY) {
    throw new InvalidArgumentError('an encrypted store needs a passphrase', {
      suggestions: [
        'Give --passphrase-file FILE, or set PLAKAR_PASSPHRASE.',
        'For a store that is not encrypted give --plaintext.',
      ],
    })
  }

  const first = await ask('passphrase of the new store', {signal, silent: true})
  if (first === '') throw new InvalidArgumentError('the passphrase is empty')
  const second = await ask('once more', {signal, silent: true})
  if (first !== second) throw new InvalidArgumentError('the two passphrases are not the same')
  return first
}

/**
 * The secret of a store, when it is encrypted and its passphrase was given. A configuration that cannot be read is
 * left to those who look for it.
 * @throws KlosetOciError with the code UNAUTHORIZED when the passphrase is not the store's
 */
export async function givenSecret(
  store: KlosetStore,
  flags: PassphraseFlags,
  signal: AbortSignal,
): Promise<Secret | undefined> {
  const passphrase = await givenPassphrase(flags, signal)
  if (passphrase === undefined) return undefined
  const configuration = await store.configuration({signal}).catch((error: unknown) => {
    if (signal.aborted) throw error
  })
  return configuration?.encryption && unlock(configuration.encryption, passphrase)
}

/** The whole file but for one line break at its end, as plakar reads its key file. */
async function readPassphrase(path: string): Promise<string> {
  return fileOperation('read', path, async () => {
    const file = await open(path)
    try {
      const {size} = await file.stat()
      if (size > MAX_FILE_BYTES) throw new InvalidArgumentError(`${path}: too long for a passphrase`)
      return (await file.readFile('utf8')).replace(/\n$/, '')
    } finally {
      await file.close()
    }
  })
}
