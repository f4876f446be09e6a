#!/usr/bin/env node
import {existsSync} from 'node:fs'
import {createRequire} from 'node:module'
import {fileURLToPath} from 'node:url'

const bundle = fileURLToPath(new URL('../dist/kloset-oci.cjs', import.meta.url))

if (existsSync(bundle)) {
  createRequire(import.meta.url)('./start.cjs').start(bundle)
} else {
  // Compiled, but not bundled.
  const {main} = await import('../dist/cli/main.js')
  await main(import.meta.url)
}
