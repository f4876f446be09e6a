const {availableParallelism} = process.getBuiltinModule('node:os')

/** Tests that are named on the command line run alone; mocha would add them to `spec`. */
const named = process.argv.slice(2).some((argument) => /^(?:\.\/)?test\/|\.test\.ts$/.test(argument))

module.exports = {
  forbidOnly: true,
  // Half of a run is spent waiting: for processes, sockets, disks.
  jobs: Math.max(2, availableParallelism()),
  'node-option': ['import=tsx/esm'],
  parallel: !named,
  recursive: true,
  reporter: './scripts/reporter.js',
  require: ['test/helpers/hooks.ts'],
  spec: named ? [] : ['test/{unit,contract,integration,fault,peer}/**/*.test.ts'],
  // Longer than any test takes on a busy machine: what hangs is ended all the same.
  timeout: 180_000,
}
