import {stripVTControlCharacters} from 'node:util'

import {type ErrorJson, errorToJson, InterruptedError, KlosetOciError, LocalIoError, messageOf} from '../errors.js'
import {EXIT, EXIT_CODES} from '../exit-codes.js'
import {ClosedPipeError} from './output.js'

/** What the terminal adds to the codes of the layers below: a command line that was not understood. */
export type FailureCode = 'CLOSED_PIPE' | 'USAGE' | ErrorJson['code']

/** A failure as it is told: the `error` member under `--json`, the lines on standard error otherwise. */
export interface Failure {
  readonly error: Omit<ErrorJson, 'code'> & {readonly code: FailureCode}
  readonly exitCode: number
  /** Nothing is printed: the closed reader knows. */
  readonly quiet: boolean
}

/** What the argument parser throws, by the fields it documents. */
interface ParserError extends Error {
  readonly code?: string
  readonly oclif?: {readonly exit?: number}
}

function isParserError(error: unknown): error is ParserError {
  return error instanceof Error && typeof (error as ParserError).oclif === 'object'
}

const SYSTEM_CODES = /^E[A-Z\d]{2,}$/

/** An error of Node or the system that reached us unwrapped, in our own terms. */
function known(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof KlosetOciError) return error
  if (error.name === 'AbortError') return new InterruptedError('interrupted', {cause: error.cause})
  const {code, path, syscall} = error as NodeJS.ErrnoException
  if (code === undefined || syscall === undefined || !SYSTEM_CODES.test(code)) return error
  if (syscall === 'uv_cwd') {
    return new LocalIoError('the folder that this was started in is not there any more', {
      facts: {errno: code},
      suggestions: ['Go to one that is there, and run it again.'],
    })
  }

  const reason = error.message.replace(/^E[A-Z\d]+: /, '').replace(/, \w+(?: '.*')?$/s, '')
  return new LocalIoError(`${path ?? syscall}: ${reason}`, {
    facts: {errno: code},
    suggestions: SYSTEM_ADVICE[code] ?? [],
  })
}

const SYSTEM_ADVICE: Readonly<Record<string, string[]>> = {
  EACCES: ['Check the permissions of that path.'],
  EADDRINUSE: ['Something listens there already: choose another --listen address, or port 0 for any free one.'],
  ENOENT: ['Check that the path exists.'],
  ENOSPC: ['Free some space, then run the same command again.'],
}

const remembered = new WeakMap<object, Failure>()

/** The same error, bearing both exit statuses that the framework reads; `failureOf` will say the same of it again. */
export function rememberFailure(thrown: Error, failure: Failure): Error {
  remembered.set(thrown, failure)
  return Object.assign(thrown, {
    exitCode: failure.exitCode,
    oclif: {...(thrown as ParserError).oclif, exit: failure.exitCode},
  })
}

/** Classes any thrown value: its code, its exit status and what to print. */
export function failureOf(thrown: unknown, help = 'kloset-oci --help'): Failure {
  const before = thrown instanceof Error ? remembered.get(thrown) : undefined
  if (before) return before
  if (thrown instanceof ClosedPipeError) {
    return {
      error: {causes: [], code: 'CLOSED_PIPE', facts: {}, message: thrown.message, suggestions: []},
      exitCode: EXIT.closedPipe,
      quiet: true,
    }
  }

  const error = known(thrown)
  if (error instanceof KlosetOciError) {
    return {error: errorToJson(error), exitCode: EXIT_CODES[error.code], quiet: false}
  }

  if (isParserError(error)) {
    const exitCode = error.oclif?.exit ?? EXIT.unexpected
    return {
      error: {causes: [], code: 'USAGE', facts: {}, message: parserMessage(error), suggestions: [help]},
      exitCode,
      quiet: error.code === 'EEXIT',
    }
  }

  return {
    error: {
      ...errorToJson(error),
      message: `unexpected: ${messageOf(error)}`,
      suggestions: ['This is a defect of kloset-oci. Run again with DEBUG=1 and report what it prints.'],
    },
    exitCode: EXIT.unexpected,
    quiet: false,
  }
}

/** The parser's text on one line, in our style: no hint, no colours, lower case first. */
function parserMessage(error: Error): string {
  const lines = stripVTControlCharacters(error.message)
    .split('\n')
    .map((line) => line.trim().replaceAll(/\s+/g, ' '))
    .filter((line) => line !== '' && !line.startsWith('See more help'))
  const text = lines.join(' ')
  return text.charAt(0).toLowerCase() + text.slice(1)
}
