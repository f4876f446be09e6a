import {parseReference} from '../registry/reference.js'
import {textArg} from './args.js'

/** The argument of `login` and `logout`. */
export const registryArg = textArg({
  description: 'HOST[:PORT] of the registry; a whole oci:// reference will do',
  required: true,
})

/** A repository that a token is asked for when only the host is given; it need not exist. */
const SOME_REPOSITORY = 'kloset-oci/login'

export interface RegistryName {
  /** A reference at that registry, to ping it by. */
  readonly reference: string
  /** As in a reference, in lower case. */
  readonly registry: string
  /** Empty when only the host is given. */
  readonly repository: string
}

/** @throws InvalidReferenceError */
export function parseRegistryName(text: string): RegistryName {
  const bare = text
    .trim()
    .replace(/^(?:oci|https?):\/\//i, '')
    .replace(/\/+$/, '')
  const isWhole = bare.includes('/')
  const {registry, repository} = parseReference(`oci://${bare}${isWhole ? '' : `/${SOME_REPOSITORY}`}`)
  return {reference: `oci://${registry}/${repository}`, registry, repository: isWhole ? repository : ''}
}
