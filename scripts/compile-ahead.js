import {createRequire} from 'node:module'
import {relative} from 'node:path'
import {setFlagsFromString} from 'node:v8'

import {ROOT} from './bundle.js'

const {compileAhead: compile} = createRequire(import.meta.url)('../bin/start.cjs')

/**
 * Compiles every function of a script, for the Node that builds.
 * @param {string} script path
 */
export function compileAhead(script) {
  setFlagsFromString('--no-lazy')
  compile(script)
  console.log(relative(ROOT, script))
}
