/** Tests that are named on the command line run alone; mocha would add them to `spec`. */
const named = process.argv.slice(2).some((argument) => /^(?:\.\/)?test\/|\.test\.ts$/.test(argument))

module.exports = {
  forbidOnly: true,
  'node-option': ['import=tsx/esm'],
  recursive: true,
  reporter: './scripts/reporter.js',
  require: ['test/helpers/hooks.ts'],
  spec: named ? [] : ['test/{unit,contract,integration,fault,peer}/**/*.test.ts'],
  timeout: 60_000,
}
