import {chmodSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {scratchDir} from './hooks.js'

/** Path of a shell script that stands for another program. */
export function script(name: string, text: string): string {
  const path = join(scratchDir('bin'), name)
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
  return path
}
