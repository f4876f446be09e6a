/**
 * Runs a bundle, and leaves beside it the compiled form of what this run needed, together with what runs before it did.
 * Usage: node scripts/learn.cjs BUNDLE ARGUMENT...
 */
const {start} = require('../bin/start.cjs')

process.argv.splice(1, 1)
start(process.argv[1], {beside: true, task: process.argv[2]})
