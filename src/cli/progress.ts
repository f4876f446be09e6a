import type {Ora} from 'ora'

import {type Clock, systemClock} from '../util/clock.js'

/** Tells how far a command is, on standard error only. */
export interface Progress {
  /** Ends the display; what was shown is cleared. */
  stop(): void
  /** The latest state in a few words: `checked 1,200 of 9,804 objects`. */
  update(text: ProgressText): void
}

/** What is said, or what finds it out: asked only when it is shown. */
export type ProgressText = (() => string) | string

export interface ProgressOptions {
  readonly clock?: Clock | undefined
  /** False with --no-progress and --json. */
  readonly enabled: boolean
  /** Seconds between plain lines where no terminal watches; undefined prints none. */
  readonly interval?: number | undefined
  readonly stream?: NodeJS.WriteStream | undefined
}

const BEGINNING = 'starting'

const silent: Progress = {stop() {}, update() {}}

/**
 * A spinner when a person watches standard error, a plain line per interval when asked for, silence otherwise; then
 * SIGUSR1 gets a line at any time. It never reads standard input and never writes to standard output.
 */
export async function createProgress(options: ProgressOptions): Promise<Progress> {
  const {clock = systemClock, enabled, interval, stream = process.stderr} = options
  // A terminal without columns cannot be drawn on: the spinner would count its lines without end.
  if (enabled && stream.isTTY && stream.columns > 0 && !process.env['CI']) {
    const {default: ora} = await import('ora')
    return spinner(ora({discardStdin: false, stream, text: BEGINNING}))
  }

  return answering(enabled && interval !== undefined ? plainLines(clock, interval * 1000, stream) : silent, stream)
}

function spinner(ora: Ora): Progress {
  ora.start()
  return {
    stop() {
      ora.stop()
    },
    update(text) {
      ora.text = said(text)
    },
  }
}

function plainLines(clock: Clock, interval: number, stream: NodeJS.WritableStream): Progress {
  let last = clock.now()
  return {
    stop() {},
    update(text) {
      const now = clock.now()
      if (now - last < interval) return
      last = now
      stream.write(`${said(text)}\n`)
    },
  }
}

/** SIGINFO is Ctrl-T, where a system has it. */
const QUESTIONS = ['SIGUSR1', 'SIGINFO'] as const

let answer: (() => void) | undefined
let isListening = false

/** Tells the latest state to whoever asks by a signal. */
function answering(inner: Progress, stream: NodeJS.WritableStream): Progress {
  let latest: ProgressText = BEGINNING
  const own = () => {
    stream.write(`${said(latest)}\n`)
  }

  answer = own
  if (!isListening) for (const signal of QUESTIONS) process.on(signal, () => answer?.())
  // For good: without a listener the next such signal would end the process.
  isListening = true
  return {
    stop() {
      if (answer === own) answer = undefined
      inner.stop()
    },
    update(text) {
      latest = text
      // What is printed in between stops the display, not the work.
      answer = own
      inner.update(text)
    },
  }
}

function said(text: ProgressText): string {
  return typeof text === 'string' ? text : text()
}
