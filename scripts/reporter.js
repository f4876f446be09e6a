import Mocha from 'mocha'
import {writeFileSync} from 'node:fs'

const {constants} = Mocha.Runner

/**
 * Dots while the tests run; then failures, what was skipped, and mocha's own count on a line of its own.
 * `KLOSET_OCI_TEST_COUNT` names a file that gets that line too.
 */
export default class Reporter extends Mocha.reporters.Dot {
  constructor(runner, options) {
    super(runner, options)
    const skipped = new Set()
    runner.on(constants.EVENT_TEST_PENDING, (test) => skipped.add(test.fullTitle()))
    runner.once(constants.EVENT_RUN_END, () => {
      const {failures, passes, pending} = this.stats
      for (const title of skipped) process.stdout.write(`skipped: ${title}\n`)
      const count = `${passes} passed, ${failures} failed, ${pending} skipped\n`
      process.stdout.write(count)
      const file = process.env['KLOSET_OCI_TEST_COUNT']
      if (file) writeFileSync(file, count)
    })
  }
}
