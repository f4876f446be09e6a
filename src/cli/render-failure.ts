import wrapAnsi from 'wrap-ansi'

import type {Failure} from './failure.js'

import {paintStderr} from './colors.js'
import {visible} from './visible.js'

const MAX_WIDTH = 120

/** One `error:` line, its causes, the next steps; wrapped, and never a stack unless DEBUG asks for it. */
export function renderFailure({error}: Failure, thrown?: unknown): string {
  const width = Math.min(process.stderr.columns || MAX_WIDTH, MAX_WIDTH)
  const labelled = (label: string, text: string) =>
    wrapAnsi(visible(text), Math.max(20, width - LABEL), {hard: false, trim: true})
      .split('\n')
      .map((line, index) => (index === 0 ? label.padEnd(LABEL) : ' '.repeat(LABEL)) + line)
      .join('\n')
      .replace(label, LABELS[label]?.(label) ?? label)

  const lines = [labelled('error:', error.message)]
  for (const cause of error.causes) lines.push(labelled('cause:', cause))
  const facts = Object.entries(error.facts).map(([name, value]) => `${name}=${value}`)
  if (facts.length > 0) lines.push(labelled('facts:', facts.join(' ')))
  for (const next of error.suggestions) lines.push(labelled('next:', next))
  if (process.env['DEBUG'] && thrown instanceof Error && thrown.stack) lines.push(thrown.stack)
  return `${lines.join('\n')}\n`
}

const LABEL = 'error: '.length

const LABELS: Readonly<Record<string, (text: string) => string>> = {
  'cause:': (text) => paintStderr.dim(text),
  'error:': (text) => paintStderr.bold.red(text),
  'facts:': (text) => paintStderr.dim(text),
  'next:': (text) => paintStderr.cyan(text),
}
