import type {Secret} from './secret.js'

/** What opens a registry. */
export type Credential =
  /** Exchanged for bearer tokens by the OAuth2 POST of the token service. */
  | {readonly kind: 'basic'; readonly password: Secret; readonly username: string}
  | {readonly kind: 'identity'; readonly token: Secret}
  /** Sent to the registry as it is. */
  | {readonly kind: 'registry-token'; readonly token: Secret}

export interface CredentialTarget {
  /** As in a reference: `docker.io`, `ghcr.io`, `localhost:5000`. */
  readonly registry: string
  /** Repository path, for logins that are kept per repository or namespace. */
  readonly repository?: string | undefined
}

/** Where a credential came from: enough to find and change it, and nothing secret. */
export interface CredentialOrigin {
  /** Path of the file that holds it or names the helper. */
  readonly file?: string
  /** Name of the `docker-credential-…` program. */
  readonly helper?: string
  /** Key of the file's entry. */
  readonly key?: string
  readonly source: 'environment' | 'file' | 'helper' | 'options'
}

export interface FoundCredential {
  readonly credential: Credential
  readonly origin: CredentialOrigin
}

export interface CredentialSource {
  /**
   * The credential for a registry, asked for afresh each time; undefined when there is none.
   * @throws CredentialError when a file is malformed or a helper fails
   */
  credentialFor(
    target: CredentialTarget,
    options?: {readonly signal?: AbortSignal | undefined},
  ): Promise<FoundCredential | undefined>
}

export function sameCredential(left: Credential | undefined, right: Credential | undefined): boolean {
  if (!left || !right) return left === right
  if (left.kind === 'basic') {
    return right.kind === 'basic' && left.username === right.username && left.password.equals(right.password)
  }

  return right.kind === left.kind && left.token.equals(right.token)
}
