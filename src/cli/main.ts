import {type Interfaces, run} from '@oclif/core'
import {fileURLToPath} from 'node:url'

import {dropWebGlobals} from '../util/web-globals.js'
import {type Failure, failureOf} from './failure.js'
import {ClosedPipeError, flushStdout, guardStdout} from './output.js'

/**
 * The process: runs the command line, tells what failed, and leaves with the right status once everything
 * printed has been taken: nothing is cut off.
 * @param options `import.meta.url` of the file in `bin/`, or what oclif is to take instead of the package's own files
 */
export async function main(
  options: Interfaces.LoadOptions,
  argv: readonly string[] = process.argv.slice(2),
): Promise<void> {
  guardStdout()
  dropWebGlobals()
  let thrown: unknown
  try {
    await run([...argv], withoutPlugins(options))
  } catch (error) {
    thrown = error
  }

  const lost = await flushStdout()
  if (lost instanceof ClosedPipeError) process.exitCode ||= failureOf(lost).exitCode
  else if (lost) await tell(failureOf(lost), lost, {json: false})
  else if (thrown !== undefined) await tell(failureOf(thrown), thrown, {json: wantsJson(argv)})

  await Promise.all([flushStdout(), flushed(process.stderr)])
  // All is said and everything of ours is closed: a request that hangs, or a standard input that stays open, must not
  // keep us here.
  // eslint-disable-next-line n/no-process-exit, unicorn/no-process-exit
  process.exit()
}

/** oclif looks for plugins in the user's folder; this program has none, and a HOME that is no folder is no error. */
function withoutPlugins(options: Interfaces.LoadOptions): Interfaces.LoadOptions {
  if (typeof options !== 'string') return {...options, userPlugins: false} as Interfaces.LoadOptions
  return {root: options.startsWith('file:') ? fileURLToPath(options) : options, userPlugins: false}
}

/** @param json on standard output as a document, else for people on standard error */
async function tell(failure: Failure, thrown: unknown, {json}: {readonly json: boolean}): Promise<void> {
  process.exitCode = failure.exitCode
  if (failure.quiet) return
  if (json) {
    const {error, exitCode} = failure
    const rest = {error, exitCode}
    const document = {schema: 'kloset-oci/error/v1', ...rest}
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`)
    return
  }

  // Loaded when it is needed: most runs do not fail.
  const {renderFailure} = await import('./render-failure.js')
  process.stderr.write(renderFailure(failure, thrown))
}

async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  await new Promise<void>((resolve) => {
    if (stream.destroyed || !stream.writable) resolve()
    else stream.write('', () => resolve())
  })
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end === -1 ? undefined : end).includes('--json')
}
