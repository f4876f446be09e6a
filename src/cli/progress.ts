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

const silent: Progress = {stop() {}, update() {}}

/**
 * A spinner when a person watches standard error, a plain line per interval when asked for, silence otherwise.
 * It never reads standard input and never writes to standard output.
 */
export async function createProgress(options: ProgressOptions): Promise<Progress> {
  const {clock = systemClock, enabled, interval, stream = process.stderr} = options
  if (!enabled) return silent
  // A terminal without columns cannot be drawn on: the spinner would count its lines without end.
  if (stream.isTTY && stream.columns > 0 && !process.env['CI']) {
    const {default: ora} = await import('ora')
    return spinner(ora({discardStdin: false, stream, text: 'starting'}))
  }

  return interval === undefined ? silent : plainLines(clock, interval * 1000, stream)
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

function said(text: ProgressText): string {
  return typeof text === 'string' ? text : text()
}
