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
}

/** @throws InvalidReferenceError */
export function parseRegistryName(text: string): RegistryName {
  const bare = text
    .trim()
    .replace(/^(?:oci|https?):\/\//i, '')
    .replace(/\/+$/, '')
  const reference = parseReference(bare.includes('/') ? `oci://${bare}` : `oci://${bare}/${SOME_REPOSITORY}`)
  const {registry, repository} = reference
  return {reference: `oci://${registry}/${repository}`, registry}
}
