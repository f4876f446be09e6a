import {type ErrorOptions, IntegrityError, KlosetOciError, StoreFormatError, VersionError} from '../../errors.js'

/** The same error about a named object: what a decoder found, and where it looked. Other errors stay as they are. */
export function inContext(error: unknown, what: string, facts: ErrorOptions['facts'] = {}): unknown {
  if (!(error instanceof KlosetOciError)) return error
  const message = `${what}: ${error.message}`
  const options = {cause: error.cause, facts: {...error.facts, ...facts}, suggestions: error.suggestions}
  switch (error.code) {
    case 'INTEGRITY': {
      return new IntegrityError(message, options)
    }

    case 'STORE_FORMAT': {
      return new StoreFormatError(message, options)
    }

    case 'VERSION': {
      return new VersionError(message, options)
    }

    default: {
      return error
    }
  }
}
