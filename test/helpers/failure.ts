import type {KlosetOciError} from '../../src/errors.js'

/** The error that a promise ends in. */
export async function failureOf(promise: Promise<unknown>): Promise<KlosetOciError> {
  try {
    await promise
  } catch (error) {
    return error as KlosetOciError
  }

  throw new Error('expected a failure')
}

/** The error that a call throws. */
export function failureIn(call: () => unknown): KlosetOciError {
  try {
    call()
  } catch (error) {
    return error as KlosetOciError
  }

  throw new Error('expected a failure')
}
