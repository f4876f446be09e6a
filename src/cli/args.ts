import {Args} from '@oclif/core'

/**
 * An argument of text. One that is left out is left out: by default the framework would read standard input for it,
 * and that is where the objects and passwords come from.
 */
export const textArg: typeof Args.string = ((options: Parameters<typeof Args.string>[0]) =>
  Args.string({...options, ignoreStdin: true})) as typeof Args.string
