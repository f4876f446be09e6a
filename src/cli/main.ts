import {run} from '@oclif/core'

import {type Failure, failureOf} from './failure.js'
import {ClosedPipeError, flushStdout, guardStdout} from './output.js'

/**
 * The process: runs the command line, tells what failed, and leaves with the right status once everything
 * printed has been taken. Nothing is cut off: the process is never ended by force.
 * @param root `import.meta.url` of the file in `bin/`
 */
export async function main(root: string, argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  guardStdout()
  let told = false
  try {
    await run([...argv], root)
  } catch (error) {
    await tell(failureOf(error), error, argv)
    told = true
  }

  const lost = await flushStdout()
  if (lost instanceof ClosedPipeError) process.exitCode ||= failureOf(lost).exitCode
  else if (lost && !told) await tell(failureOf(lost), lost, [])
  // A terminal or a pipe that nobody reads to its end must not keep us here.
  process.stdin.unref?.()
}

async function tell(failure: Failure, thrown: unknown, argv: readonly string[]): Promise<void> {
  process.exitCode = failure.exitCode
  if (failure.quiet) return
  const end = argv.indexOf('--')
  if (argv.slice(0, end === -1 ? undefined : end).includes('--json')) {
    const document = {error: failure.error, exitCode: failure.exitCode, schema: 'kloset-oci/error/v1'}
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`)
    return
  }

  // Loaded when it is needed: most runs do not fail.
  const {renderFailure} = await import('./render-failure.js')
  process.stderr.write(renderFailure(failure, thrown))
}
