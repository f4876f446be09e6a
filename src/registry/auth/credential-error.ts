import {type ErrorOptions, KlosetOciError} from '../../errors.js'

/** A login that is there cannot be used: a malformed file, a failing helper. Nothing of its contents is in the error. */
export class CredentialError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNAUTHORIZED', message, options)
  }
}
