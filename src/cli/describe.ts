import {EXIT, EXIT_MEANINGS, type ExitCode} from '../exit-codes.js'

/** Statuses that any command with a registry behind it may end in. */
const COMMON: readonly ExitCode[] = [
  EXIT.done,
  EXIT.unexpected,
  EXIT.parser,
  EXIT.usage,
  EXIT.unavailable,
  EXIT.auth,
  EXIT.interrupted,
]

/** A command's description: the text, then the exit statuses that it can end in. */
export function describe(text: string, ...own: readonly ExitCode[]): string {
  const lines = [...new Set([...COMMON, ...own])]
    .sort((a, b) => a - b)
    .map((code) => `${String(code).padEnd(3)}  ${EXIT_MEANINGS[code]}`)
  return [text.replaceAll('\n', ' '), '', 'Exit codes:', ...lines].join('\n')
}
