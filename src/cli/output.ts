import {once} from 'node:events'

import {localIoError} from '../util/fs-error.js'
import {visible} from './visible.js'

/** The reader of our standard output went away (`| head`). Never shown: the shell's user did it. */
export class ClosedPipeError extends Error {
  readonly code = 'CLOSED_PIPE'

  constructor() {
    super('the reader of standard output went away')
    this.name = 'ClosedPipeError'
  }
}

let failure: Error | undefined

/**
 * Takes over the errors of standard output, so that a closed pipe is quiet and a full disk is told.
 * The argument parser's own listener, which throws, is removed.
 */
export function guardStdout(): void {
  process.stderr.on('error', () => {
    // Nobody is left to be told.
  })
  process.stdout.removeAllListeners('error')
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    failure ??= failureOfStdout(error)
  })
}

function failureOfStdout(error: NodeJS.ErrnoException): Error {
  return error.code === 'EPIPE' ? new ClosedPipeError() : localIoError(error, 'write', 'standard output')
}

/** Prints a JSON document as it is. */
export function printDocument(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Prints lines without waiting; `flushStdout` tells what became of them. */
export function print(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${visible(line, {keepColours: true})}\n`)
}

/**
 * Writes and waits while the reader is slow, so that what is not yet taken never piles up in memory.
 * @throws ClosedPipeError, or the system's error
 */
export async function writeOut(chunk: string | Uint8Array): Promise<void> {
  if (failure) throw failure
  if (process.stdout.write(chunk)) return
  await once(process.stdout, 'drain').catch((error: NodeJS.ErrnoException) => {
    throw failureOfStdout(error)
  })
}

/** Waits until everything printed has been taken. @returns what went wrong with standard output, if anything */
export async function flushStdout(): Promise<Error | undefined> {
  await new Promise<void>((resolve) => {
    if (failure || process.stdout.destroyed) resolve()
    else process.stdout.write('', () => resolve())
  })
  return failure
}

/** Text is gathered up to this where no terminal watches: one write per line would cost more than the line. */
const BUFFERED_CHARACTERS = 64 * 1024

/** Many lines, written with back-pressure: at once on a terminal, in larger pieces elsewhere. */
export class LineWriter {
  #pending = ''

  async end(): Promise<void> {
    const text = this.#pending
    this.#pending = ''
    if (text !== '') await writeOut(text)
  }

  async line(text: string): Promise<void> {
    this.#pending += `${visible(text, {keepColours: true})}\n`
    if (process.stdout.isTTY || this.#pending.length >= BUFFERED_CHARACTERS) await this.end()
  }
}
