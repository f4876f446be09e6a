import {Args} from '@oclif/core'

import {InvalidArgumentError} from '../errors.js'

/**
 * An argument of text. One that is left out is left out: by default the framework would read standard input for it,
 * and that is where the objects and passwords come from.
 */
export const textArg: typeof Args.string = ((options: Parameters<typeof Args.string>[0]) =>
  Args.string({...options, ignoreStdin: true})) as typeof Args.string

/**
 * An empty value is never meant: as a rule a variable of the shell was not set, and what comes of that may be another
 * folder, or all instead of a part.
 * @param argv what follows the command's name
 * @throws InvalidArgumentError
 */
export function refuseEmpty(argv: readonly string[]): void {
  for (const [index, value] of argv.entries()) {
    const flag = value === '' ? argv[index - 1] : /^(-\w|--[\w-]+)=$/.exec(value)?.[1]
    if (value !== '' && flag === undefined) continue
    const what = flag?.startsWith('-') ? `the value of ${flag}` : `argument ${index + 1}`
    throw new InvalidArgumentError(`${what} is empty`, {
      suggestions: [
        'Give a value, or leave it out; when it comes from a variable of the shell, look whether that is set.',
      ],
    })
  }
}
