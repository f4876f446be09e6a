#!/usr/bin/env node
const {existsSync} = require('node:fs')
const {join} = require('node:path')

const root = join(__dirname, '..')
const bundle = join(root, 'dist', 'kloset-oci.cjs')

if (existsSync(bundle)) {
  require('./start.cjs').start(bundle, {task: process.argv[2]})
} else {
  // Compiled, but not bundled.
  import('../dist/cli/main.js').then(({main}) => main(root))
}
