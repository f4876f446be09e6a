import Mocha from 'mocha'
import {writeFileSync} from 'node:fs'

const {constants} = Mocha.Runner
const SLOWEST = Number(process.env['KLOSET_OCI_TEST_SLOWEST'] ?? 0)

/**
 * Dots while the tests run; then failures, what was skipped, and mocha's own count on a line of its own.
 * `KLOSET_OCI_TEST_SLOWEST=20` adds the slowest tests; `KLOSET_OCI_TEST_COUNT` names a file that gets that line too.
 */
export default class Reporter extends Mocha.reporters.Dot {
  constructor(runner, options) {
    super(runner, options)
    const skipped = new Set()
    const slow = []
    runner.on(constants.EVENT_TEST_PASS, (test) => slow.push(test))
    runner.on(constants.EVENT_TEST_FAIL, (test) => {
      // At once: a run that is cut off has said what was wrong.
      process.stdout.write(`\nFAILED ${test.fullTitle()}\n`)
    })
    runner.on(constants.EVENT_TEST_PENDING, (test) => skipped.add(test.fullTitle()))
    runner.once(constants.EVENT_RUN_END, () => {
      const {failures, passes, pending} = this.stats
      for (const title of skipped) process.stdout.write(`skipped: ${title}\n`)
      const count = `${passes} passed, ${failures} failed, ${pending} skipped\n`
      if (SLOWEST > 0) {
        const all = slow.toSorted((a, b) => b.duration - a.duration).slice(0, SLOWEST)
        for (const test of all)
          process.stdout.write(`slow: ${String(test.duration).padStart(6)} ms  ${test.fullTitle()}\n`)
      }

      process.stdout.write(count)
      const file = process.env['KLOSET_OCI_TEST_COUNT']
      if (file) writeFileSync(file, count)
    })
  }
}
