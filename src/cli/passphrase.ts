import {Flags} from '@oclif/core'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {open} from 'node:fs/promises'

import type {EncryptionConfiguration} from '../kloset/configuration-sections.js'

import {hasCode, InterruptedError, InvalidArgumentError, KlosetOciError, LocalIoError} from '../errors.js'
import {checkCanary} from '../kloset/codec/encryption.js'
import {deriveSecret} from '../kloset/codec/kdf.js'
import {type Secret} from '../kloset/codec/secret.js'
import {type KlosetStore} from '../kloset/store.js'
import {fileOperation} from '../util/fs-error.js'
import {ask, secretFromStdin} from './password.js'

/** How an encrypted store is opened. */
export const passphraseFlags = {
  'passphrase-command': Flags.string({
    description: 'command that prints the passphrase of an encrypted store, run by the shell',
    exclusive: ['passphrase-file'],
    helpValue: 'COMMAND',
  }),
  'passphrase-file': Flags.string({
    description: 'file with the passphrase of an encrypted store, - for standard input (or set PLAKAR_PASSPHRASE)',
    helpValue: 'FILE',
  }),
}

export interface PassphraseFlags {
  readonly 'passphrase-command'?: string | undefined
  readonly 'passphrase-file'?: string | undefined
}

/** Looked at in this order; the second is plakar's own. */
const VARIABLES = ['KLOSET_OCI_PASSPHRASE', 'PLAKAR_PASSPHRASE'] as const

const MAX_FILE_BYTES = 64 * 1024

/**
 * The passphrase that was given by a file, a command or the environment; undefined when none was.
 * @throws InvalidArgumentError when it is empty, LocalIoError when the file cannot be read or the command fails
 */
export async function givenPassphrase(flags: PassphraseFlags, signal: AbortSignal): Promise<string | undefined> {
  const command = flags['passphrase-command']
  if (command !== undefined) return passphraseOf(command, signal)
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
  return configuration?.encryption && secretOf(store, configuration.encryption, {passphrase, signal})
}

/**
 * The secret of a store for a command that cannot do without: given, or asked for where a person is there to answer.
 * @returns undefined for a store that is not encrypted
 * @throws NotFoundError | StoreFormatError | VersionError when its configuration cannot be read
 * @throws KlosetOciError with the code UNAUTHORIZED when there is no passphrase, or another store's
 */
export async function neededSecret(
  store: KlosetStore,
  flags: PassphraseFlags,
  signal: AbortSignal,
): Promise<Secret | undefined> {
  const {encryption} = await store.configuration({signal})
  if (!encryption) return undefined
  const given = await givenPassphrase(flags, signal)
  if (given !== undefined) return secretOf(store, encryption, {passphrase: given, signal})
  if (process.stdin.isTTY) {
    const passphrase = await ask('passphrase', {signal, silent: true})
    return secretOf(store, encryption, {passphrase, signal})
  }

  throw new KlosetOciError('UNAUTHORIZED', `${store.location}: is encrypted, and no passphrase was given`, {
    suggestions: ['Give --passphrase-file FILE or --passphrase-command COMMAND, or set PLAKAR_PASSPHRASE.'],
  })
}

/**
 * The secret that a passphrase gives. Where CONFIG's canary does not know it, objects of the store are asked: one that it
 * opens says that it is CONFIG that is damaged, and whoever reads that next finds it so.
 * @throws KlosetOciError with the code UNAUTHORIZED when nothing knows the secret
 */
async function secretOf(
  store: KlosetStore,
  encryption: EncryptionConfiguration,
  {passphrase, signal}: {readonly passphrase: string; readonly signal: AbortSignal},
): Promise<Secret> {
  const secret = await deriveSecret(encryption.kdf, passphrase)
  try {
    checkCanary(encryption, secret)
    return secret
  } catch (error) {
    if (!hasCode(error, 'UNAUTHORIZED')) throw error
    const {isSecretOf} = await import('../checker/secret-proof.js')
    if (await isSecretOf(secret, {repository: store.repository, signal})) return secret
    throw new KlosetOciError(
      'UNAUTHORIZED',
      "the passphrase is not this store's, or what CONFIG says of how its key is made is damaged: it opens nothing here",
      {
        cause: error,
        suggestions: [
          'Give the passphrase that the store was created with, without a newline at its end.',
          'If it is the right one, compare CONFIG with a copy of it (`config export` made one, perhaps), and put that back with `config import`.',
          'Without it, `verify --tier digest` still checks what is stored.',
        ],
      },
    )
  }
}

/** What a command prints, without the line break at its end. What it says on standard error is shown. */
async function passphraseOf(command: string, signal: AbortSignal): Promise<string> {
  const child = spawn(command, {shell: true, signal, stdio: ['inherit', 'pipe', 'inherit']})
  const ended = once(child, 'close') as Promise<[null | number, NodeJS.Signals | null]>
  // Told when it is waited for.
  ended.catch(() => {})
  const output: Buffer[] = []
  let size = 0
  for await (const chunk of child.stdout) {
    size += (chunk as Buffer).length
    if (size <= MAX_FILE_BYTES) output.push(chunk as Buffer)
  }

  const [status, killer] = await ended
  if (signal.aborted) throw new InterruptedError()
  if (status !== 0) {
    const how = killer === null ? `with status ${status}` : `of ${killer}`
    throw new LocalIoError(`--passphrase-command: it ended ${how}`, {facts: status === null ? {} : {status}})
  }

  if (size > MAX_FILE_BYTES) throw new InvalidArgumentError('--passphrase-command: too long for a passphrase')
  const text = Buffer.concat(output)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  if (text === '') throw new InvalidArgumentError('--passphrase-command: it printed no passphrase')
  return text
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
