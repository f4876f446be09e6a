export interface CredentialSource {
  readonly placeholder?: never
}
