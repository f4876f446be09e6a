import {InterruptedError, InvalidArgumentError} from '../errors.js'
import {ask} from './password.js'

/**
 * Asks the person at the terminal whether to go on.
 * @throws InvalidArgumentError when nobody is there to ask, and --yes was not given
 * @throws InterruptedError when the answer is no
 */
export async function confirmed(what: string, signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new InvalidArgumentError(`${what}: nobody is there to ask`, {
      suggestions: ['Read the plan, then give --yes.'],
    })
  }

  const answer = await ask(`${what}? [y/N]`, {signal, silent: false})
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new InterruptedError('not confirmed: nothing was changed')
}
