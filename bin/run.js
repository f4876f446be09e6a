#!/usr/bin/env node
const {existsSync} = require('node:fs')
const {join} = require('node:path')

const {assureHome, start} = require('./start.cjs')

const root = join(__dirname, '..')
const bundle = join(root, 'dist', 'kloset-oci.cjs')

if (existsSync(bundle)) {
  start(bundle, {task: process.argv[2]})
} else {
  // Compiled, but not bundled.
  assureHome()
  import('../dist/cli/main.js').then(({main}) => main(root))
}
