import {run} from '@oclif/core'

import {type Failure, failureOf, renderFailure} from './failure.js'
import {ClosedPipeError, flushStdout, guardStdout} from './output.js'

/**
 * The process: runs the command line, tells what failed, and leaves with the right status once everything
 * printed has been taken. Nothing is cut off: the process is never ended by force.
 * @param root `import.meta.url` of the file in `bin/`
 */
export async function main(root: string, argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  guardStdout()
  try {
    await run([...argv], root)
  } catch (error) {
    tell(failureOf(error), error, argv)
  }

  const lost = await flushStdout()
  if (lost instanceof ClosedPipeError) process.exitCode ||= failureOf(lost).exitCode
  else if (lost) tell(failureOf(lost), lost, [])
  // A terminal or a pipe that nobody reads to its end must not keep us here.
  process.stdin.unref?.()
}

function tell(failure: Failure, thrown: unknown, argv: readonly string[]): void {
  process.exitCode = failure.exitCode
  if (failure.quiet) return
  const end = argv.indexOf('--')
  if (argv.slice(0, end === -1 ? undefined : end).includes('--json')) {
    const document = {error: failure.error, exitCode: failure.exitCode, schema: 'kloset-oci/error/v1'}
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`)
  } else process.stderr.write(renderFailure(failure, thrown))
}
