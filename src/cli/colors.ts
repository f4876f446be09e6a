// eslint-disable-next-line unicorn/import-style -- the default instance does not know NO_COLOR
import {Chalk, type ChalkInstance, type ColorInfo, supportsColor, supportsColorStderr} from 'chalk'

/** Colours for one stream; none when `NO_COLOR` is set to anything. @see https://no-color.org */
function chalkFor(detected: ColorInfo): ChalkInstance {
  const wanted = process.env['NO_COLOR'] ? false : detected
  return new Chalk({level: wanted ? wanted.level : 0})
}

/** For standard output. */
export const paint = chalkFor(supportsColor)

/** For standard error. */
export const paintStderr = chalkFor(supportsColorStderr)

export type Paint = ChalkInstance
