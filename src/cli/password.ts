import {InterruptedError, InvalidArgumentError} from '../errors.js'
import {interruption} from '../util/abort.js'

/** A secret is a line, not a file: more than this was piped in by mistake. */
const MAX_SECRET_BYTES = 64 * 1024

/**
 * A password from standard input to its end, without the line break that `echo` adds.
 * @throws InvalidArgumentError when it is empty or far too long
 */
export async function secretFromStdin(signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  const abort = () => process.stdin.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, {once: true})
  try {
    for await (const chunk of process.stdin) {
      const bytes = Buffer.from(chunk as Uint8Array)
      length += bytes.length
      if (length > MAX_SECRET_BYTES) throw new InvalidArgumentError('standard input: too long for a password')
      chunks.push(bytes)
    }
  } finally {
    signal.removeEventListener('abort', abort)
  }

  const secret = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  if (secret === '') throw new InvalidArgumentError('standard input: no password in it')
  return secret
}

/**
 * Asks on the terminal, through standard error, and shows nothing of what is typed when `silent`.
 * @throws InvalidArgumentError when no terminal is there to ask
 */
export async function ask(question: string, {signal, silent}: {signal: AbortSignal; silent: boolean}): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new InvalidArgumentError(`${question}: standard input is not a terminal`, {
      suggestions: ['Give --username and pipe the password in with --password-stdin.'],
    })
  }

  const aborted = new Promise<never>((_resolve, reject) => {
    const stop = () => {
      process.stdin.setRawMode(false)
      process.stdin.destroy()
      reject(interruption(signal))
    }

    signal.addEventListener('abort', stop, {once: true})
  })
  const {read} = await import('read')
  const answer = read({output: process.stderr, prompt: `${question}: `, silent}).catch((error: Error) => {
    // Ctrl-C arrives as a key here, not as a signal.
    throw error.message === 'canceled' ? new InterruptedError() : error
  })
  const text = await Promise.race([answer, aborted])
  if (silent) process.stderr.write('\n')
  return text
}
